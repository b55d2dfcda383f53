-- Phase 1.3 of the strategy: business logic functions, and the one that makes audit partitions.

-- The active subscription of a user: its plan, that plan's limits, and whether its period has not ended. No row for a
-- user without an active subscription.
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
    us.status = 'active' AND us.current_period_end > now()
  FROM public.user_subscriptions us
  JOIN public.subscription_plans sp ON us.plan_id = sp.id
  WHERE us.user_id = p_user_id
    AND us.status = 'active'
  ORDER BY us.created_at DESC
  LIMIT 1;
END;
$$ LANGUAGE plpgsql STABLE;

-- Whether a user may have p_requested_amount more: projects, videos in this calendar month, or gigabytes (of 1024^3
-- bytes). False without an active subscription, for an unknown kind of limit, and for a limit the plan does not state.
-- Erratum 16: FOUND instead of a record compared with NULL, bytes compared with bytes, a NULL status is not 'deleted'.
CREATE OR REPLACE FUNCTION check_user_limit(
  p_user_id UUID,
  p_limit_type VARCHAR(50),
  p_requested_amount INTEGER DEFAULT 1
) RETURNS BOOLEAN AS $$
DECLARE
  current_usage NUMERIC;
  user_limit NUMERIC;
  requested NUMERIC := p_requested_amount;
  subscription_features RECORD;
BEGIN
  SELECT * INTO subscription_features
  FROM public.get_user_subscription_features(p_user_id);

  IF NOT FOUND OR subscription_features.is_active IS NOT TRUE THEN
    RETURN FALSE;
  END IF;

  CASE p_limit_type
    WHEN 'projects' THEN
      SELECT count(*) INTO current_usage
      FROM public.video_projects
      WHERE user_id = p_user_id AND status IS DISTINCT FROM 'deleted';
      user_limit := subscription_features.max_projects;

    WHEN 'videos_per_month' THEN
      SELECT count(*) INTO current_usage
      FROM public.generation_jobs gj
      JOIN public.video_projects vp ON gj.project_id = vp.id
      WHERE vp.user_id = p_user_id
        AND gj.job_type = 'video'
        AND gj.status = 'completed'
        AND gj.completed_at >= date_trunc('month', now());
      user_limit := subscription_features.max_videos_per_month;

    WHEN 'storage_gb' THEN
      SELECT coalesce(sum(file_size_bytes), 0) INTO current_usage
      FROM public.media_files
      WHERE user_id = p_user_id;
      requested := requested * 1024 ^ 3;
      user_limit := CASE
        WHEN subscription_features.max_storage_gb = -1 THEN -1
        ELSE subscription_features.max_storage_gb * 1024::NUMERIC ^ 3
      END;

    ELSE
      RETURN FALSE;
  END CASE;

  -- -1 means unlimited.
  RETURN coalesce(user_limit = -1 OR current_usage + requested <= user_limit, FALSE);
END;
$$ LANGUAGE plpgsql STABLE;

-- Writes one audit event and answers its id.
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
  INSERT INTO public.audit_logs (
    user_id, action, resource_type, resource_id,
    changes, metadata, success
  ) VALUES (
    p_user_id, p_action, p_resource_type, p_resource_id,
    p_changes, p_metadata, TRUE
  ) RETURNING id INTO audit_id;

  RETURN audit_id;
END;
$$ LANGUAGE plpgsql;

-- Not in the strategy: tells the application's processes of a change of the flags at its commit, so that they need not ask
-- (app/flags). Once for each statement, whatever it changed; who listens reads the settings again.
CREATE OR REPLACE FUNCTION notify_settings_changed() RETURNS trigger AS $$
BEGIN
  PERFORM pg_catalog.pg_notify('lockstep_settings', '');
  RETURN NULL;
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER system_settings_changed
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON system_settings
  FOR EACH STATEMENT EXECUTE FUNCTION notify_settings_changed();

-- Erratum 2. Makes sure that this month (UTC) and the p_months_ahead after it have a partition each, with the indexes
-- of the strategy; a scheduled job calls it. Events that reached the default partition before their month had its own
-- are moved there. Answers the names of the partitions made. It runs with its owner's rights, because a partition can
-- be made by the owner of the table only. Attaching takes SHARE ROW EXCLUSIVE on users for its foreign key: it rather
-- fails (55P03; call it again) than queue the application's writes behind it.
CREATE OR REPLACE FUNCTION ensure_audit_log_partitions(p_months_ahead INTEGER DEFAULT 3)
RETURNS SETOF TEXT AS $$
DECLARE
  this_month DATE := date_trunc('month', now() AT TIME ZONE 'UTC')::DATE;
  month DATE;
  suffix TEXT;
  partition TEXT;
  lower_bound TIMESTAMPTZ;
  upper_bound TIMESTAMPTZ;
BEGIN
  IF p_months_ahead IS NULL OR p_months_ahead NOT BETWEEN 0 AND 120 THEN
    RAISE EXCEPTION 'ensure_audit_log_partitions: p_months_ahead is %, but must be between 0 and 120', p_months_ahead
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('lockstep audit_logs partitions', 0));

  FOR i IN 0 .. p_months_ahead LOOP
    month := this_month + make_interval(months => i);
    suffix := to_char(month, 'YYYY_MM');
    partition := 'audit_logs_' || suffix;
    CONTINUE WHEN to_regclass(format('public.%I', partition)) IS NOT NULL;
    lower_bound := month::TIMESTAMP AT TIME ZONE 'UTC';
    upper_bound := (month + INTERVAL '1 month') AT TIME ZONE 'UTC';

    EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    EXECUTE format(
      'WITH moved AS (DELETE FROM public.audit_logs_default WHERE created_at >= $1 AND created_at < $2 RETURNING *)
       INSERT INTO public.%I SELECT * FROM moved', partition) USING lower_bound, upper_bound;
    EXECUTE format('ALTER TABLE public.audit_logs ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
      partition, lower_bound, upper_bound);
    EXECUTE format('CREATE INDEX %I ON public.%I (user_id, created_at DESC)', 'idx_audit_logs_user_' || suffix, partition);
    EXECUTE format('CREATE INDEX %I ON public.%I (resource_type, resource_id, created_at DESC)',
      'idx_audit_logs_resource_' || suffix, partition);
    EXECUTE format('CREATE INDEX %I ON public.%I (action, created_at DESC)', 'idx_audit_logs_action_' || suffix, partition);
    RETURN NEXT partition;
  END LOOP;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s';
REVOKE EXECUTE ON FUNCTION ensure_audit_log_partitions(INTEGER) FROM PUBLIC;

SELECT ensure_audit_log_partitions(3);

-- Erratum 19. Refreshes user_analytics_summary (009) where it exists and pg_cron does not do it; readers do not wait. The
-- scheduled upkeep calls it. It runs with its owner's rights, because only the owner may refresh a view.
CREATE OR REPLACE FUNCTION refresh_user_analytics_summary() RETURNS BOOLEAN AS $$
DECLARE
  scheduled BOOLEAN := FALSE;
BEGIN
  IF to_regclass('public.user_analytics_summary') IS NULL THEN
    RETURN FALSE;
  END IF;
  IF to_regclass('cron.job') IS NOT NULL THEN
    EXECUTE $job$SELECT EXISTS (SELECT FROM cron.job WHERE jobname = 'refresh-user-analytics' AND active)$job$ INTO scheduled;
  END IF;
  IF scheduled THEN
    RETURN FALSE;
  END IF;
  REFRESH MATERIALIZED VIEW CONCURRENTLY public.user_analytics_summary;
  RETURN TRUE;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE EXECUTE ON FUNCTION refresh_user_analytics_summary() FROM PUBLIC;
