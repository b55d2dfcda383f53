-- Migration script: 003_create_functions.sql

-- User subscription features function
CREATE OR REPLACE FUNCTION get_user_subscription_features(p_user_id UUID)
RETURNS TABLE(
  plan_id VARCHAR(50),
  features JSONB,
  max_projects INTEGER,
  max_videos_per_month INTEGER,
  max_storage_gb INTEGER,
  is_active BOOLEAN
) AS $$
BEGIN
  RETURN QUERY
  SELECT 
    sp.id,
    sp.features,
    sp.max_projects,
    sp.max_videos_per_month,
    sp.max_storage_gb,
    us.status = 'active' AND us.current_period_end > NOW()
  FROM user_subscriptions us
  JOIN subscription_plans sp ON us.plan_id = sp.id
  WHERE us.user_id = p_user_id
    AND us.status = 'active'
  ORDER BY us.created_at DESC
  LIMIT 1;
END;
$$ LANGUAGE plpgsql STABLE;

-- User limit checking function
CREATE OR REPLACE FUNCTION check_user_limit(
  p_user_id UUID,
  p_limit_type VARCHAR(50),
  p_requested_amount INTEGER DEFAULT 1
) RETURNS BOOLEAN AS $$
DECLARE
  current_usage INTEGER;
  user_limit INTEGER;
  subscription_active BOOLEAN;
  subscription_features RECORD;
BEGIN
  -- Get subscription features
  SELECT * INTO subscription_features
  FROM get_user_subscription_features(p_user_id);
  
  IF subscription_features IS NULL OR NOT subscription_features.is_active THEN
    RETURN FALSE;
  END IF;
  
  -- Get current usage based on limit type
  CASE p_limit_type
    WHEN 'projects' THEN
      SELECT COUNT(*) INTO current_usage 
      FROM video_projects 
      WHERE user_id = p_user_id AND status != 'deleted';
      user_limit := subscription_features.max_projects;
      
    WHEN 'videos_per_month' THEN
      SELECT COUNT(*) INTO current_usage
      FROM generation_jobs gj
      JOIN video_projects vp ON gj.project_id = vp.id
      WHERE vp.user_id = p_user_id 
        AND gj.job_type = 'video'
        AND gj.status = 'completed'
        AND gj.completed_at >= date_trunc('month', NOW());
      user_limit := subscription_features.max_videos_per_month;
        
    WHEN 'storage_gb' THEN
      SELECT COALESCE(SUM(file_size_bytes), 0) / (1024^3) INTO current_usage
      FROM media_files
      WHERE user_id = p_user_id;
      user_limit := subscription_features.max_storage_gb;
        
    ELSE
      RETURN FALSE;
  END CASE;
  
  -- Check if adding requested amount would exceed limit (-1 means unlimited)
  RETURN (user_limit = -1) OR (current_usage + p_requested_amount <= user_limit);
END;
$$ LANGUAGE plpgsql STABLE;

-- Audit logging function
CREATE OR REPLACE FUNCTION log_audit_event(
  p_user_id UUID,
  p_action VARCHAR(100),
  p_resource_type VARCHAR(50),
  p_resource_id UUID DEFAULT NULL,
  p_changes JSONB DEFAULT NULL,
  p_metadata JSONB DEFAULT '{}'
) RETURNS UUID AS $$
DECLARE
  audit_id UUID;
BEGIN
  INSERT INTO audit_logs (
    user_id, action, resource_type, resource_id, 
    changes, metadata, success
  ) VALUES (
    p_user_id, p_action, p_resource_type, p_resource_id,
    p_changes, p_metadata, true
  ) RETURNING id INTO audit_id;
  
  RETURN audit_id;
END;
$$ LANGUAGE plpgsql;
