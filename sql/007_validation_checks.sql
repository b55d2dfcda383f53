-- Phase 3.3 of the strategy: the counts of both schemas, and the business rules. The strategy calls the function at the
-- end of this step; the backfill has not run by then, so here `lockstep validate` and step 010 call it.
--
-- What cannot be in the new tables is left out of both sides: orphans (erratum 14) and quarantined scopes. The
-- functions are STABLE, so that all counts of one call come from one snapshot.

-- The scopes that could not be merged because of their data. Every target of this migration has one UUID as its scope.
CREATE VIEW lockstep_forward.quarantined AS
SELECT q.target, q.scope[1]::UUID AS scope
FROM lockstep.quarantine q
WHERE q.direction = 'forward' AND q.scope[1] IS NOT NULL;

-- The legacy rows that become media files, by the table that they come from.
CREATE VIEW lockstep_forward.media_origins AS
SELECT 'photos'::TEXT AS origin, p.id, project.user_id, coalesce(p.file_size_bytes, 0) AS file_size_bytes
FROM public.photos p JOIN lockstep_forward.owned_projects project ON project.id = p.project_id
UNION ALL
SELECT 'media_items', mi.id, mi.user_id, coalesce(mi.file_size_bytes, 0)
FROM public.media_items mi JOIN public.users u ON u.id = mi.user_id
UNION ALL
SELECT 'generated_videos', gv.id, project.user_id, coalesce(gv.file_size_bytes, 0)
FROM public.generated_videos gv JOIN lockstep_forward.owned_projects project ON project.id = gv.project_id
WHERE gv.file_url IS NOT NULL;

-- One row for each check: PASS when both counts are equal.
CREATE OR REPLACE FUNCTION validate_migration_consistency()
RETURNS TABLE(
  check_name TEXT,
  status TEXT,
  old_count BIGINT,
  new_count BIGINT,
  difference BIGINT
) AS $$
  WITH counts (check_name, old_count, new_count) AS (
    -- Erratum 9: users, not their subscriptions, because a user may have several.
    SELECT 'subscription_migration',
      (SELECT count(*) FROM public.users u
       WHERE u.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'user_subscriptions')),
      (SELECT count(DISTINCT us.user_id) FROM public.user_subscriptions us
       WHERE us.user_id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'user_subscriptions'))
    UNION ALL
    SELECT 'subscription_rows',
      (SELECT count(*) FROM lockstep_forward.user_subscriptions v
       WHERE v.user_id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'user_subscriptions')),
      (SELECT count(*) FROM public.user_subscriptions us
       WHERE us.user_id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'user_subscriptions'))
    UNION ALL
    SELECT 'media_migration',
      (SELECT count(*) FROM lockstep_forward.media_origins o
       WHERE o.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files')),
      (SELECT count(*) FROM public.media_files m
       WHERE m.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files'))
    UNION ALL
    -- Erratum 8: like with like, the files of each legacy table by themselves.
    SELECT 'media_migration_' || o.origin, count(*), count(m.id)
    FROM lockstep_forward.media_origins o
    LEFT JOIN public.media_files m ON m.id = o.id
    WHERE o.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files')
    GROUP BY o.origin
    UNION ALL
    SELECT 'generation_migration',
      (SELECT count(*) FROM public.generated_videos gv
       JOIN lockstep_forward.owned_projects project ON project.id = gv.project_id
       WHERE gv.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'generation_jobs')),
      (SELECT count(*) FROM public.generation_jobs gj
       WHERE gj.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'generation_jobs'))
    UNION ALL
    SELECT 'project_media_relationships',
      (SELECT count(*) FROM public.photos p
       JOIN lockstep_forward.owned_projects project ON project.id = p.project_id
       WHERE p.project_id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'project_media')),
      (SELECT count(*) FROM public.project_media pm
       WHERE pm.project_id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'project_media'))
  )
  SELECT c.check_name, CASE WHEN c.old_count = c.new_count THEN 'PASS' ELSE 'FAIL' END,
         c.old_count, c.new_count, c.old_count - c.new_count
  FROM counts c;
$$ LANGUAGE sql STABLE;

-- One row for each rule: what the legacy tables say, what the new ones say, and for how many users (or rows) the two
-- disagree; PASS when for none. Sums may be equal although users differ, so the difference is not one of the counts.
CREATE OR REPLACE FUNCTION validate_business_rules()
RETURNS TABLE(
  check_name TEXT,
  status TEXT,
  old_count BIGINT,
  new_count BIGINT,
  difference BIGINT
) AS $$
  WITH subscribers AS (
    -- A user without any subscription is active on the plan of users.subscription_plan.
    SELECT u.id, u.subscription_plan,
      NOT EXISTS (SELECT FROM public.subscriptions s WHERE s.user_id = u.id) OR EXISTS (
        SELECT FROM public.subscriptions s WHERE s.user_id = u.id AND coalesce(s.status, 'active') = 'active') AS is_active,
      (SELECT count(*) FROM public.user_subscriptions us WHERE us.user_id = u.id AND us.status = 'active') AS active_rows,
      (SELECT min(us.plan_id) FROM public.user_subscriptions us WHERE us.user_id = u.id AND us.status = 'active') AS plan_id
    FROM public.users u
    WHERE u.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'user_subscriptions')
  ), storage AS (
    SELECT coalesce(legacy.bytes, 0) AS old_bytes, coalesce(normalized.bytes, 0) AS new_bytes
    FROM (
      SELECT o.user_id, sum(o.file_size_bytes) AS bytes FROM lockstep_forward.media_origins o
      WHERE o.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files')
      GROUP BY o.user_id
    ) AS legacy
    FULL JOIN (
      SELECT m.user_id, sum(m.file_size_bytes) AS bytes FROM public.media_files m
      WHERE m.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files')
      GROUP BY m.user_id
    ) AS normalized USING (user_id)
  ), videos AS (
    SELECT coalesce(legacy.videos, 0) AS old_videos, coalesce(normalized.videos, 0) AS new_videos
    FROM (
      SELECT project.user_id, count(*) AS videos
      FROM public.generated_videos gv JOIN lockstep_forward.owned_projects project ON project.id = gv.project_id
      WHERE gv.status = 'completed' AND gv.completed_at >= date_trunc('month', now())
        AND gv.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'generation_jobs')
      GROUP BY project.user_id
    ) AS legacy
    FULL JOIN (
      SELECT gj.user_id, count(*) AS videos FROM public.generation_jobs gj
      WHERE gj.job_type = 'video' AND gj.status = 'completed' AND gj.completed_at >= date_trunc('month', now())
        AND gj.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'generation_jobs')
      GROUP BY gj.user_id
    ) AS normalized USING (user_id)
  ), rules (check_name, old_count, new_count, difference) AS (
    SELECT 'one_active_subscription', count(*) FILTER (WHERE is_active), sum(active_rows)::BIGINT,
      count(*) FILTER (WHERE active_rows <> is_active::INTEGER)
    FROM subscribers
    UNION ALL
    SELECT 'plan_of_active_subscription', count(*), count(plan_id),
      count(*) FILTER (WHERE plan_id IS DISTINCT FROM subscription_plan)
    FROM subscribers WHERE is_active
    UNION ALL
    SELECT 'storage_bytes_of_user', sum(old_bytes)::BIGINT, sum(new_bytes)::BIGINT,
      count(*) FILTER (WHERE old_bytes <> new_bytes)
    FROM storage
    UNION ALL
    SELECT 'videos_this_month_of_user', sum(old_videos)::BIGINT, sum(new_videos)::BIGINT,
      count(*) FILTER (WHERE old_videos <> new_videos)
    FROM videos
    UNION ALL
    SELECT 'project_media_of_project_owner', count(*), count(*) FILTER (WHERE m.user_id = vp.user_id),
      count(*) FILTER (WHERE m.user_id IS DISTINCT FROM vp.user_id)
    FROM public.project_media pm
    JOIN public.video_projects vp ON vp.id = pm.project_id
    JOIN public.media_files m ON m.id = pm.media_file_id
    WHERE pm.project_id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'project_media')
      AND m.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files')
    UNION ALL
    SELECT 'output_file_of_job_owner', count(*), count(*) FILTER (WHERE m.user_id = gj.user_id),
      count(*) FILTER (WHERE m.user_id IS DISTINCT FROM gj.user_id)
    FROM public.generation_jobs gj
    JOIN public.media_files m ON m.id = gj.output_file_id
    WHERE gj.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'generation_jobs')
      AND m.id NOT IN (SELECT scope FROM lockstep_forward.quarantined WHERE target = 'media_files')
  )
  SELECT r.check_name, CASE WHEN r.difference = 0 THEN 'PASS' ELSE 'FAIL' END,
         coalesce(r.old_count, 0), coalesce(r.new_count, 0), r.difference
  FROM rules r;
$$ LANGUAGE sql STABLE;

-- Erratum 26: what the application's shadow reads have found (app/manager/shadow.ts). Both sides were asked for a sample of
-- its reads, and differences were settled as a validation settles them. Not the engine's: it goes with
-- the legacy tables (010), and comes back with them.
CREATE SCHEMA lockstep_app;

CREATE TABLE lockstep_app.shadow_reads (
  method TEXT NOT NULL,
  hour TIMESTAMPTZ NOT NULL,
  agreed BIGINT NOT NULL DEFAULT 0,
  differed BIGINT NOT NULL DEFAULT 0,
  -- The data kept changing, or the other side did not catch up in time: nothing is known.
  unsettled BIGINT NOT NULL DEFAULT 0,
  -- Not compared, because too many waited already.
  dropped BIGINT NOT NULL DEFAULT 0,
  failed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (method, hour)
);

CREATE TABLE lockstep_app.shadow_differences (
  method TEXT NOT NULL,
  arguments JSONB NOT NULL,
  -- The side that was the truth, what it answered, and what the other one did.
  truth_side TEXT NOT NULL,
  truth JSONB,
  other JSONB,
  times BIGINT NOT NULL DEFAULT 1,
  first_seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  last_seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (method, arguments)
);
