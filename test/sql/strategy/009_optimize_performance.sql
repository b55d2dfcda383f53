-- Migration script: 009_optimize_performance.sql

-- Update table statistics
ANALYZE user_subscriptions;
ANALYZE media_files;
ANALYZE project_media;
ANALYZE generation_jobs;
ANALYZE usage_records;
ANALYZE audit_logs;

-- Create additional performance indexes based on usage patterns
CREATE INDEX CONCURRENTLY idx_user_subscriptions_period_end 
  ON user_subscriptions(current_period_end) 
  WHERE status = 'active';

CREATE INDEX CONCURRENTLY idx_media_files_user_type_created 
  ON media_files(user_id, file_type, created_at DESC);

CREATE INDEX CONCURRENTLY idx_generation_jobs_user_status_created 
  ON generation_jobs(user_id, status, created_at DESC);

-- Create materialized views for analytics
CREATE MATERIALIZED VIEW user_analytics_summary AS
SELECT 
  u.id as user_id,
  u.display_name,
  us.plan_id as current_plan,
  COUNT(DISTINCT vp.id) as total_projects,
  COUNT(DISTINCT gj.id) as total_generations,
  SUM(mf.file_size_bytes) as total_storage_bytes
FROM users u
LEFT JOIN user_subscriptions us ON u.id = us.user_id AND us.status = 'active'
LEFT JOIN video_projects vp ON u.id = vp.user_id
LEFT JOIN generation_jobs gj ON vp.id = gj.project_id
LEFT JOIN media_files mf ON u.id = mf.user_id
GROUP BY u.id, u.display_name, us.plan_id;

CREATE UNIQUE INDEX idx_user_analytics_summary_user_id ON user_analytics_summary(user_id);

-- Set up automatic refresh
CREATE EXTENSION IF NOT EXISTS pg_cron;
SELECT cron.schedule('refresh-user-analytics', '0 2 * * *', 'REFRESH MATERIALIZED VIEW CONCURRENTLY user_analytics_summary;');
