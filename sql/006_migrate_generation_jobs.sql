-- Phase 2.3 of the strategy: what generation_jobs holds, as a view (the generated videos' media files are in 005), and the
-- way back: what generated_videos holds while the normalized tables are the truth, and what is lost on that way. The
-- engine keeps the tables equal to the views; 007 has the counts.

CREATE VIEW lockstep_forward.generation_jobs AS
SELECT
  gv.id,
  gv.project_id,
  project.user_id,
  'video'::VARCHAR AS job_type,
  -- Erratum 28: one type on both sides, so no cast; generation_jobs_status_known refuses the unknown values.
  gv.status,
  gv.progress_percentage,
  lockstep_forward.as_stored(gv.generation_service, 50) AS generation_service,
  lockstep_forward.as_stored(gv.external_generation_id, 255) AS external_job_id,
  gv.duration_seconds AS actual_duration_seconds,
  -- Erratum 10: the media file has the video's id; the strategy's UPDATE that looks for it is part of the view.
  CASE WHEN gv.file_url IS NOT NULL THEN gv.id END AS output_file_id,
  jsonb_build_object(
    'file_url', gv.file_url,
    'thumbnail_url', gv.thumbnail_url,
    'file_size_bytes', gv.file_size_bytes,
    'duration_seconds', gv.duration_seconds
  ) || CASE
    -- Not in the strategy: the prompt of a video without a file, which is kept with the file once there is one (005). The
    -- strategy leaves it behind, and a video that is finished after the cutover would never have it.
    WHEN gv.file_url IS NULL AND gv.ai_prompt IS NOT NULL THEN jsonb_build_object('ai_prompt', gv.ai_prompt)
    ELSE '{}'
  END AS output_metadata,
  gv.error_message,
  gv.created_at AS queued_at,
  gv.started_at,
  gv.completed_at,
  -- Erratum 29: it moves with every later update of a failed video; legacy has nothing better.
  CASE WHEN gv.status = 'failed' THEN gv.updated_at END AS failed_at
FROM public.generated_videos gv
CROSS JOIN LATERAL (
  SELECT user_id FROM lockstep_forward.owned_projects WHERE id = gv.project_id OFFSET 0
) AS project;

-- Erratum 14: legacy rows that can have no normalized row, and why, for `plan` and the report; 007 accounts for them.
CREATE VIEW lockstep_forward.orphans AS
SELECT 'subscriptions'::TEXT AS source, s.id::TEXT AS key,
       CASE WHEN s.user_id IS NULL THEN 'user_id is NULL' ELSE 'user ' || s.user_id || ' does not exist' END AS reason
FROM public.subscriptions s
WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.id = s.user_id)
UNION ALL
SELECT 'media_items', mi.id::TEXT,
       CASE WHEN mi.user_id IS NULL THEN 'user_id is NULL' ELSE 'user ' || mi.user_id || ' does not exist' END
FROM public.media_items mi
WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.id = mi.user_id)
UNION ALL
SELECT child.source, child.id::TEXT,
       CASE
         WHEN child.project_id IS NULL THEN 'project_id is NULL'
         WHEN vp.id IS NULL THEN 'project ' || child.project_id || ' does not exist'
         WHEN vp.user_id IS NULL THEN 'user_id of project ' || vp.id || ' is NULL'
         ELSE 'user ' || vp.user_id || ' of project ' || vp.id || ' does not exist'
       END
FROM (
  SELECT 'photos' AS source, p.id, p.project_id FROM public.photos p
  UNION ALL
  SELECT 'generated_videos', gv.id, gv.project_id FROM public.generated_videos gv
) AS child
LEFT JOIN public.video_projects vp ON vp.id = child.project_id
WHERE NOT EXISTS (SELECT FROM lockstep_forward.owned_projects o WHERE o.id = child.project_id);

-- The way back. What a job's notes say about the size of its file, as far as it is a size.
CREATE FUNCTION lockstep_reverse.bytes_noted(metadata JSONB) RETURNS BIGINT
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN jsonb_typeof(metadata -> 'file_size_bytes') = 'number' AND metadata ->> 'file_size_bytes' ~ '^[0-9]{1,18}$'
    THEN (metadata ->> 'file_size_bytes')::BIGINT
END;

-- Only jobs for videos have a place in legacy.
CREATE VIEW lockstep_reverse.generated_videos AS
SELECT
  job.id,
  job.project_id,
  job.status,
  job.progress_percentage,
  job.generation_service,
  job.external_generation_id,
  job.duration_seconds,
  job.file_url,
  job.thumbnail_url,
  job.file_size_bytes,
  job.ai_prompt,
  job.error_message,
  job.created_at,
  job.started_at,
  job.completed_at,
  -- The new schema has the time of the last update only of a failed job and of a file.
  coalesce(job.told_updated_at, CASE
    WHEN (job.status, job.progress_percentage, job.started_at, job.completed_at, job.error_message) IS NOT DISTINCT FROM
         (job.legacy_status, job.legacy_progress, job.legacy_started_at, job.legacy_completed_at, job.legacy_error)
      THEN job.legacy_updated_at
  END, greatest(job.created_at, job.started_at, job.completed_at, job.legacy_updated_at)) AS updated_at
FROM (
  SELECT
    gj.id,
    gj.project_id,
    gj.status,
    gj.progress_percentage,
    lockstep_reverse.unless_changed(gv.generation_service, lockstep_forward.as_stored(gv.generation_service, 50),
      gj.generation_service)::TEXT AS generation_service,
    lockstep_reverse.unless_changed(gv.external_generation_id,
      lockstep_forward.as_stored(gv.external_generation_id, 255), gj.external_job_id)::TEXT AS external_generation_id,
    coalesce(gj.actual_duration_seconds, file.duration_seconds) AS duration_seconds,
    file.file_url,
    -- Without a file the job's own notes are all there is.
    CASE WHEN file.id IS NULL THEN gj.output_metadata ->> 'thumbnail_url' ELSE file.thumbnail_url END AS thumbnail_url,
    CASE
      WHEN file.id IS NULL THEN lockstep_reverse.bytes_noted(gj.output_metadata)
      -- An unknown size is 0 in the new schema; the notes still tell the two apart.
      WHEN file.file_size_bytes = 0 AND lockstep_reverse.bytes_noted(gj.output_metadata) IS NULL THEN NULL
      ELSE file.file_size_bytes
    END AS file_size_bytes,
    -- The prompt is kept with the file; without one, in the job's notes.
    CASE
      WHEN file.metadata ? 'ai_prompt' THEN file.metadata ->> 'ai_prompt'
      WHEN gj.output_metadata -> 'ai_prompt' IS NOT NULL THEN gj.output_metadata ->> 'ai_prompt'
      ELSE gv.ai_prompt
    END AS ai_prompt,
    gj.error_message,
    gj.queued_at AS created_at,
    gj.started_at,
    gj.completed_at,
    coalesce(CASE WHEN gj.status = 'failed' THEN gj.failed_at END, file.updated_at) AS told_updated_at,
    gv.status AS legacy_status,
    gv.progress_percentage AS legacy_progress,
    gv.started_at AS legacy_started_at,
    gv.completed_at AS legacy_completed_at,
    gv.error_message AS legacy_error,
    gv.updated_at AS legacy_updated_at
  FROM public.generation_jobs gj
  LEFT JOIN LATERAL (SELECT * FROM public.media_files WHERE id = gj.output_file_id OFFSET 0) AS file ON TRUE
  LEFT JOIN LATERAL (SELECT * FROM public.generated_videos WHERE id = gj.id OFFSET 0) AS gv ON TRUE
  WHERE gj.job_type = 'video'
) AS job
UNION ALL
SELECT gv.id, gv.project_id, gv.status, gv.progress_percentage, gv.generation_service, gv.external_generation_id,
       gv.duration_seconds, gv.file_url, gv.thumbnail_url, gv.file_size_bytes, gv.ai_prompt, gv.error_message, gv.created_at,
       gv.started_at, gv.completed_at, gv.updated_at
FROM public.generated_videos gv
WHERE (SELECT gj.id FROM public.generation_jobs gj WHERE gj.id = gv.id) IS NULL
  AND ((SELECT o.id FROM lockstep_forward.owned_projects o WHERE o.id = gv.project_id) IS NULL
    OR EXISTS (SELECT FROM lockstep_reverse.refused r WHERE r.target = 'generation_jobs' AND r.scope = ARRAY[gv.id::TEXT]));

-- What would be lost on the way back. The normalized tables as they would return, if the way back were followed by
-- another cutover: each forward view once more, reading the reverse views in place of the legacy tables. The two
-- mappings are composed here and not written a third time, so this cannot disagree with what the engine does.
CREATE VIEW lockstep_reverse.returned_users AS
SELECT u.id, legacy.subscription_plan, u.created_at, u.updated_at
FROM public.users u
CROSS JOIN LATERAL (SELECT subscription_plan FROM lockstep_reverse.users WHERE id = u.id OFFSET 0) AS legacy;

DO $$
DECLARE
  target TEXT;
  definition TEXT;
  path TEXT := current_setting('search_path');
BEGIN
  -- Then every name is printed with its schema.
  PERFORM set_config('search_path', '', TRUE);
  FOREACH target IN ARRAY ARRAY['user_subscriptions', 'media_files', 'project_media', 'generation_jobs'] LOOP
    definition := pg_catalog.pg_get_viewdef(format('lockstep_forward.%I', target)::REGCLASS);
    definition := regexp_replace(definition, '\mpublic\.(subscriptions|photos|media_items|generated_videos)\M',
      'lockstep_reverse.\1', 'g');
    -- The others only ask whether the user exists.
    IF target = 'user_subscriptions' THEN
      definition := replace(definition, 'public.users u', 'lockstep_reverse.returned_users u');
    END IF;
    EXECUTE format('CREATE VIEW lockstep_reverse.%I AS %s', 'returned_' || target, definition);
  END LOOP;
  PERFORM set_config('search_path', path, TRUE);
END $$;

-- One row for each normalized row (column_name NULL) or value that would not return as it is. Columns that always return
-- are not compared. Scopes that the new schema has refused are not in the normalized tables, and nothing is lost of them.
CREATE VIEW lockstep_reverse.losses AS
SELECT 'user_subscriptions'::TEXT AS target, ARRAY[coalesce(us.id, back.id)::TEXT] AS key, lost.column_name, lost.reason
FROM public.user_subscriptions us
FULL JOIN lockstep_reverse.returned_user_subscriptions back ON back.id = us.id
CROSS JOIN LATERAL (VALUES
  (NULL::TEXT, us.id IS NULL AND NOT EXISTS (
     SELECT FROM lockstep_reverse.refused r WHERE r.target = 'user_subscriptions' AND r.scope = ARRAY[back.user_id::TEXT]),
   'legacy knows no user without a subscription: one on the free plan is made up'),
  ('plan_id', us.plan_id <> back.plan_id, 'legacy has one plan for each user: that of the active subscription, or of the one that ended last'),
  ('plan_id', us.plan_id = back.plan_id AND length(us.plan_id) > 20, 'the plan''s name does not fit into the 20 characters of users.subscription_plan'),
  ('cancel_at_period_end', back.id IS NOT NULL AND us.id IS NOT NULL AND us.cancel_at_period_end IS DISTINCT FROM FALSE, 'legacy has no column for it'),
  ('cancelled_at', us.cancelled_at IS NOT NULL, 'legacy has no column for it'),
  ('created_at', us.created_at <> back.created_at, 'it comes back as the time at which the user was created'),
  ('updated_at', us.updated_at <> back.updated_at, 'it comes back as the time at which the user was last updated')
) AS lost (column_name, is_lost, reason)
WHERE lost.is_lost
UNION ALL
SELECT 'media_files', ARRAY[coalesce(mf.id, back.id)::TEXT], lost.column_name, lost.reason
FROM public.media_files mf
FULL JOIN lockstep_reverse.returned_media_files back ON back.id = mf.id
CROSS JOIN LATERAL (VALUES
  (NULL::TEXT, back.id IS NULL, 'its project has no owner, and legacy files of such projects are not carried over'),
  (NULL, mf.id IS NULL AND back.file_key LIKE 'legacy/photos/%' AND NOT EXISTS (
     SELECT FROM lockstep_reverse.refused r WHERE r.target = 'media_files' AND r.scope = ARRAY[back.id::TEXT]),
   'a further placement of a file comes back as a copy of the file'),
  (NULL, mf.id IS NULL AND back.file_key LIKE 'generated/videos/%' AND NOT EXISTS (
     SELECT FROM lockstep_reverse.refused r WHERE r.target IN ('media_files', 'generation_jobs') AND r.scope = ARRAY[back.id::TEXT]),
   'the file of a job comes back under the job''s id')
) AS lost (column_name, is_lost, reason)
WHERE lost.is_lost
UNION ALL
SELECT 'media_files', ARRAY[mf.id::TEXT], lost.column_name, lost.reason
FROM public.media_files mf
JOIN lockstep_reverse.returned_media_files back ON back.id = mf.id
CROSS JOIN LATERAL (VALUES
  ('user_id', mf.user_id <> back.user_id, 'a file of a project belongs to the project''s owner in legacy'),
  ('original_filename', mf.original_filename <> back.original_filename, 'a generated video has a fixed name'),
  ('file_key', mf.file_key <> back.file_key, 'it comes back as the key that is made of the legacy row''s id'),
  ('file_url', mf.file_url IS DISTINCT FROM back.file_url, 'the job of the same id has another file'),
  ('thumbnail_url', mf.thumbnail_url IS DISTINCT FROM back.thumbnail_url, 'the job of the same id has another file'),
  ('file_type', mf.file_type <> back.file_type, 'it comes back as what the legacy table, or the MIME type, says'),
  ('mime_type', mf.mime_type <> back.mime_type, 'a generated video comes back as video/mp4'),
  ('file_size_bytes', mf.file_size_bytes <> back.file_size_bytes, 'the job of the same id has another file'),
  ('width', mf.width IS DISTINCT FROM back.width, 'legacy has no dimensions of generated videos'),
  ('height', mf.height IS DISTINCT FROM back.height, 'legacy has no dimensions of generated videos'),
  ('duration_seconds', mf.duration_seconds IS DISTINCT FROM back.duration_seconds, 'legacy has the duration of generated videos only, once for job and file'),
  ('processing_status', mf.processing_status IS DISTINCT FROM back.processing_status, 'legacy has no status of files: it follows from the status of the job'),
  ('processing_error', mf.processing_error IS NOT NULL, 'legacy has no column for it'),
  ('metadata', mf.metadata IS DISTINCT FROM back.metadata, 'of a generated video, legacy has the prompt and nothing else'),
  ('content_hash', mf.content_hash IS NOT NULL, 'legacy has no column for it'),
  ('folder_path', mf.folder_path IS DISTINCT FROM back.folder_path, 'legacy has no folders: it follows from the table and the project'),
  ('tags', mf.tags IS DISTINCT FROM '{}', 'legacy has no column for it'),
  ('uploaded_at', mf.uploaded_at <> back.uploaded_at, 'it comes back as the time at which the legacy row was created, or its video completed'),
  ('last_accessed_at', mf.last_accessed_at IS NOT NULL, 'legacy has no column for it'),
  ('created_at', mf.created_at <> back.created_at, 'the file of a job comes back with the times of the job'),
  ('updated_at', mf.updated_at <> back.updated_at, 'legacy has one time of the last update for job and file')
) AS lost (column_name, is_lost, reason)
WHERE lost.is_lost
UNION ALL
SELECT 'project_media', ARRAY[pm.id::TEXT], lost.column_name, lost.reason
FROM public.project_media pm
CROSS JOIN LATERAL (SELECT * FROM public.media_files WHERE id = pm.media_file_id OFFSET 0) AS mf
CROSS JOIN LATERAL (SELECT * FROM lockstep_reverse.homes WHERE id = pm.media_file_id OFFSET 0) AS home
LEFT JOIN lockstep_reverse.returned_project_media back
  ON back.id = CASE WHEN pm.id = home.project_media_id THEN pm.media_file_id ELSE pm.id END
CROSS JOIN LATERAL (VALUES
  (NULL::TEXT, back.id IS NULL, CASE
    WHEN mf.file_type <> 'image' THEN 'legacy has photos in projects, and nothing else'
    WHEN (SELECT o.id FROM lockstep_forward.owned_projects o WHERE o.id = pm.project_id) IS NULL
      THEN 'its project has no owner, and legacy photos of such projects are not carried over'
    ELSE 'its id, which the legacy photo would have, is that of another file or job'
  END),
  ('id', pm.id <> back.id, 'a photo and its place are one row in legacy: it comes back under the id of the file'),
  ('media_file_id', pm.media_file_id <> back.media_file_id, 'a further placement of a file comes back as a copy of the file'),
  ('display_order', pm.display_order <> back.display_order, 'legacy photos that the new schema refused are in its way'),
  ('duration_seconds', back.id IS NOT NULL AND pm.duration_seconds IS DISTINCT FROM back.duration_seconds, 'legacy has no column for it'),
  ('transition_type', back.id IS NOT NULL AND pm.transition_type IS DISTINCT FROM back.transition_type, 'legacy has no column for it'),
  ('settings', back.id IS NOT NULL AND pm.settings IS DISTINCT FROM '{}', 'legacy has no column for it'),
  ('added_at', pm.added_at <> back.added_at, 'it comes back as the time at which the file was created')
) AS lost (column_name, is_lost, reason)
WHERE lost.is_lost
UNION ALL
SELECT 'generation_jobs', ARRAY[gj.id::TEXT], lost.column_name, lost.reason
FROM public.generation_jobs gj
LEFT JOIN lockstep_reverse.returned_generation_jobs back ON back.id = gj.id
CROSS JOIN LATERAL (VALUES
  (NULL::TEXT, back.id IS NULL, CASE
    WHEN gj.job_type <> 'video' THEN 'legacy has jobs for videos, and no others'
    ELSE 'its project has no owner, and legacy videos of such projects are not carried over'
  END)
) AS lost (column_name, is_lost, reason)
WHERE lost.is_lost
UNION ALL
SELECT 'generation_jobs', ARRAY[gj.id::TEXT], lost.column_name, lost.reason
FROM public.generation_jobs gj
JOIN lockstep_reverse.returned_generation_jobs back ON back.id = gj.id
CROSS JOIN LATERAL (VALUES
  ('user_id', gj.user_id <> back.user_id, 'a job belongs to the project''s owner in legacy'),
  ('priority', gj.priority IS DISTINCT FROM 5, 'legacy has no column for it'),
  ('estimated_duration_seconds', gj.estimated_duration_seconds IS NOT NULL, 'legacy has no column for it'),
  ('actual_duration_seconds', gj.actual_duration_seconds IS DISTINCT FROM back.actual_duration_seconds, 'legacy has one duration for job and file'),
  ('compute_cost_cents', gj.compute_cost_cents IS NOT NULL, 'legacy has no column for it'),
  ('output_file_id', gj.output_file_id IS DISTINCT FROM back.output_file_id, 'the file of a job comes back under the job''s id'),
  ('output_metadata', gj.output_metadata IS DISTINCT FROM back.output_metadata, 'it comes back as what legacy has of the file: URLs, size, duration; and the prompt, as long as there is no file'),
  ('retry_count', gj.retry_count IS DISTINCT FROM 0, 'legacy has no column for it'),
  ('max_retries', gj.max_retries IS DISTINCT FROM 3, 'legacy has no column for it'),
  ('failed_at', gj.failed_at IS DISTINCT FROM back.failed_at, 'legacy has one time of the last update, which a failed job''s is')
) AS lost (column_name, is_lost, reason)
WHERE lost.is_lost;
