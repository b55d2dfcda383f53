-- Phase 2.3 of the strategy: what generation_jobs holds, as a view (the generated videos' media files are in 005). The
-- engine keeps the table equal to it; 007 has the counts.

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
  ) AS output_metadata,
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
