-- Migration monitoring queries

-- 1. Data consistency checks
SELECT 
  'Users vs Subscriptions' as check_name,
  u.count as users_count,
  us.count as subscriptions_count,
  (u.count - us.count) as difference
FROM 
  (SELECT COUNT(*) as count FROM users) u,
  (SELECT COUNT(*) as count FROM user_subscriptions WHERE status = 'active') us;

-- 2. Migration progress tracking
SELECT 
  table_name,
  backup_row_count,
  backup_created_at,
  EXTRACT(EPOCH FROM (NOW() - backup_created_at))/3600 as hours_since_backup
FROM migration_backup.migration_log
ORDER BY backup_created_at DESC;

-- 3. Performance impact monitoring
SELECT 
  schemaname,
  tablename,
  n_tup_ins as inserts,
  n_tup_upd as updates,
  n_tup_del as deletes,
  n_tup_hot_upd as hot_updates,
  seq_scan,
  seq_tup_read,
  idx_scan,
  idx_tup_fetch
FROM pg_stat_user_tables
WHERE schemaname = 'public'
  AND tablename IN ('user_subscriptions', 'media_files', 'project_media', 'generation_jobs')
ORDER BY seq_scan DESC;

-- 4. Query performance comparison
SELECT 
  query,
  calls,
  total_time,
  mean_time,
  rows
FROM pg_stat_statements 
WHERE query ILIKE '%user_subscriptions%' 
   OR query ILIKE '%media_files%'
   OR query ILIKE '%generation_jobs%'
ORDER BY mean_time DESC
LIMIT 10;
