-- "Migration Monitoring" of the strategy: its four queries as views and functions of schema lockstep_monitoring, and its
-- alerts on data as a view. (Its alerts on response time and CPU are CloudWatch alarms.) Run it after 007; repeating it
-- changes nothing.

CREATE SCHEMA IF NOT EXISTS lockstep_monitoring;

-- 1. Data consistency. A user has one active subscription at most, and a user whose subscriptions have all ended has
-- none (erratum 9), so users are compared with users that have a subscription.
CREATE OR REPLACE VIEW lockstep_monitoring.data_consistency AS
SELECT
  'Users vs Subscriptions'::TEXT AS check_name,
  u.count AS users_count,
  us.count AS subscriptions_count,
  u.count - us.count AS difference
FROM
  (SELECT count(*) AS count FROM public.users) u,
  (SELECT count(DISTINCT user_id) AS count FROM public.user_subscriptions) us;

-- 2. Progress. Erratum 24: schema migration_backup exists only from step 008 on; before that there are no rows.
CREATE OR REPLACE FUNCTION lockstep_monitoring.migration_progress()
RETURNS TABLE(
  table_name TEXT,
  backup_row_count BIGINT,
  backup_created_at TIMESTAMPTZ,
  hours_since_backup NUMERIC
) AS $$
BEGIN
  IF to_regclass('migration_backup.migration_log') IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE
    'SELECT l.table_name::TEXT, l.backup_row_count, l.backup_created_at,
            (EXTRACT(EPOCH FROM (now() - l.backup_created_at)) / 3600)::NUMERIC
     FROM migration_backup.migration_log l
     ORDER BY l.backup_created_at DESC';
END;
$$ LANGUAGE plpgsql STABLE;

-- 3. Impact on performance. Erratum 24: the column is relname.
CREATE OR REPLACE VIEW lockstep_monitoring.table_activity AS
SELECT
  schemaname,
  relname,
  n_tup_ins AS inserts,
  n_tup_upd AS updates,
  n_tup_del AS deletes,
  n_tup_hot_upd AS hot_updates,
  seq_scan,
  seq_tup_read,
  idx_scan,
  idx_tup_fetch
FROM pg_catalog.pg_stat_user_tables
WHERE schemaname = 'public'
  AND relname IN ('user_subscriptions', 'media_files', 'project_media', 'generation_jobs')
ORDER BY seq_scan DESC;

-- 4. Query performance. Erratum 24: the columns are total_exec_time and mean_exec_time (milliseconds); without
-- pg_stat_statements in this database there are no rows.
CREATE OR REPLACE FUNCTION lockstep_monitoring.query_performance()
RETURNS TABLE(
  query TEXT,
  calls BIGINT,
  total_exec_time DOUBLE PRECISION,
  mean_exec_time DOUBLE PRECISION,
  rows BIGINT
) AS $$
DECLARE
  statements REGCLASS := (
    SELECT c.oid
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_class c ON c.relnamespace = e.extnamespace AND c.relname = 'pg_stat_statements'
    WHERE e.extname = 'pg_stat_statements');
BEGIN
  IF statements IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY EXECUTE format(
    'SELECT s.query, s.calls, s.total_exec_time, s.mean_exec_time, s.rows
     FROM %s s
     WHERE s.query ILIKE ''%%user_subscriptions%%''
        OR s.query ILIKE ''%%media_files%%''
        OR s.query ILIKE ''%%generation_jobs%%''
     ORDER BY s.mean_exec_time DESC
     LIMIT 10', statements);
END;
$$ LANGUAGE plpgsql STABLE;

-- The counts that the alerts ask for. After 010 there is nothing to compare with, and no row.
CREATE OR REPLACE FUNCTION lockstep_monitoring.consistency()
RETURNS TABLE(check_name TEXT, difference BIGINT) AS $$
BEGIN
  IF (SELECT p.phase FROM lockstep.phase p) = 'complete' THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT v.check_name::TEXT, v.difference::BIGINT FROM public.validate_migration_consistency() AS v;
END;
$$ LANGUAGE plpgsql STABLE;

-- Alerts and thresholds: the two on data. An alert fires when more rows are missing than its threshold allows.
CREATE OR REPLACE VIEW lockstep_monitoring.alerts AS
SELECT a.check_name, a.threshold, a.severity, abs(v.difference) AS difference, abs(v.difference) > a.threshold AS fires
FROM (VALUES
  ('user_subscription_count_match'::TEXT, 'subscription_migration'::TEXT, 0::BIGINT, 'critical'::TEXT),
  ('media_file_migration_complete', 'media_migration', 0, 'critical')
) AS a (check_name, consistency_check, threshold, severity)
JOIN lockstep_monitoring.consistency() AS v ON v.check_name = a.consistency_check;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'lockstep_operator') THEN
    GRANT USAGE ON SCHEMA lockstep_monitoring TO lockstep_operator;
    GRANT SELECT ON ALL TABLES IN SCHEMA lockstep_monitoring TO lockstep_operator;
  END IF;
END $$;
