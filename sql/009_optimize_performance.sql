-- lockstep: no transaction
-- lockstep: phase completion
-- squawk-disable-assume-in-transaction
-- Phase 4.3 of the strategy. It comes before 010, as its number says: what takes long, and may fail, is done before what
-- cannot be undone. Safe to run again.
--
-- Erratum 17: an index is built CONCURRENTLY outside of transactions; the runner drops an invalid one that a failed try
-- has left. Erratum 15: idx_user_subscriptions_period_end would be idx_user_subscriptions_period (002) once more.

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_media_files_user_type_created
  ON public.media_files (user_id, file_type, created_at DESC);

-- The strategy names created_at, which generation_jobs does not have; queued_at holds the legacy created_at.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_generation_jobs_user_status_created
  ON public.generation_jobs (user_id, status, queued_at DESC);

-- Erratum 18: each sum is made before the join. Joined first, a file would count once for each project and job.
CREATE MATERIALIZED VIEW IF NOT EXISTS public.user_analytics_summary AS
SELECT
  u.id AS user_id,
  u.display_name,
  us.plan_id AS current_plan,
  coalesce(projects.total, 0) AS total_projects,
  coalesce(generations.total, 0) AS total_generations,
  coalesce(files.bytes, 0) AS total_storage_bytes
FROM public.users u
LEFT JOIN public.user_subscriptions us ON us.user_id = u.id AND us.status = 'active'
LEFT JOIN (SELECT user_id, count(*) AS total FROM public.video_projects GROUP BY user_id) AS projects ON projects.user_id = u.id
LEFT JOIN (
  SELECT vp.user_id, count(*) AS total FROM public.generation_jobs gj JOIN public.video_projects vp ON vp.id = gj.project_id
  GROUP BY vp.user_id
) AS generations ON generations.user_id = u.id
LEFT JOIN (SELECT user_id, sum(file_size_bytes) AS bytes FROM public.media_files GROUP BY user_id) AS files ON files.user_id = u.id;

CREATE UNIQUE INDEX IF NOT EXISTS idx_user_analytics_summary_user_id ON public.user_analytics_summary (user_id);

-- Erratum 19: pg_cron where it is available and may be used; otherwise the scheduled upkeep refreshes the view every day
-- (refresh_user_analytics_summary, 003).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_cron') THEN
    CREATE EXTENSION IF NOT EXISTS pg_cron;
    PERFORM cron.schedule('refresh-user-analytics', '0 2 * * *',
      'REFRESH MATERIALIZED VIEW CONCURRENTLY public.user_analytics_summary;');
  END IF;
EXCEPTION WHEN OTHERS THEN
  RAISE NOTICE 'pg_cron is not used (%), the scheduled upkeep refreshes user_analytics_summary', SQLERRM;
END $$;

ANALYZE public.user_subscriptions;
ANALYZE public.media_files;
ANALYZE public.project_media;
ANALYZE public.generation_jobs;
ANALYZE public.usage_records;
ANALYZE public.audit_logs;
