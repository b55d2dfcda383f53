-- Migration script: 007_validation_checks.sql

-- Function to validate data consistency between old and new schemas
CREATE OR REPLACE FUNCTION validate_migration_consistency()
RETURNS TABLE(
  check_name TEXT,
  status TEXT,
  old_count BIGINT,
  new_count BIGINT,
  difference BIGINT
) AS $$
BEGIN
  -- Check subscription migration
  RETURN QUERY
  SELECT 
    'subscription_migration'::TEXT,
    CASE WHEN u.user_count = us.subscription_count THEN 'PASS' ELSE 'FAIL' END,
    u.user_count,
    us.subscription_count,
    u.user_count - us.subscription_count
  FROM 
    (SELECT COUNT(*) as user_count FROM users) u,
    (SELECT COUNT(*) as subscription_count FROM user_subscriptions) us;
    
  -- Check media migration
  RETURN QUERY
  SELECT 
    'media_migration'::TEXT,
    CASE WHEN (p.photo_count + mi.media_count) = mf.media_file_count THEN 'PASS' ELSE 'FAIL' END,
    (p.photo_count + mi.media_count),
    mf.media_file_count,
    (p.photo_count + mi.media_count) - mf.media_file_count
  FROM 
    (SELECT COUNT(*) as photo_count FROM photos) p,
    (SELECT COUNT(*) as media_count FROM media_items) mi,
    (SELECT COUNT(*) as media_file_count FROM media_files) mf;
    
  -- Check generation jobs migration
  RETURN QUERY
  SELECT 
    'generation_migration'::TEXT,
    CASE WHEN gv.generated_video_count = gj.generation_job_count THEN 'PASS' ELSE 'FAIL' END,
    gv.generated_video_count,
    gj.generation_job_count,  
    gv.generated_video_count - gj.generation_job_count
  FROM 
    (SELECT COUNT(*) as generated_video_count FROM generated_videos) gv,
    (SELECT COUNT(*) as generation_job_count FROM generation_jobs) gj;
    
  -- Check project-media relationships
  RETURN QUERY
  SELECT 
    'project_media_relationships'::TEXT,
    CASE WHEN p.photo_count = pm.project_media_count THEN 'PASS' ELSE 'FAIL' END,
    p.photo_count,
    pm.project_media_count,
    p.photo_count - pm.project_media_count
  FROM 
    (SELECT COUNT(*) as photo_count FROM photos) p,
    (SELECT COUNT(*) as project_media_count FROM project_media) pm;
END;
$$ LANGUAGE plpgsql;

-- Run validation
SELECT * FROM validate_migration_consistency();
