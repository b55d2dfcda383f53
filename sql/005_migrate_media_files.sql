-- Phase 2.2 of the strategy (and the media files of 2.3, generated videos): what media_files and project_media hold, as
-- views. The engine keeps the tables equal to them; 007 has the counts. Rows without a project, or whose project or
-- user is missing, are left out and listed by lockstep_forward.orphans (erratum 14).

-- Erratum 12: the name for a file that has none: the last segment of its URL's path. NULL when the path is empty.
CREATE FUNCTION lockstep_forward.name_from_url(url TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(substring(rtrim(split_part(split_part(url, '#', 1), '?', 1), '/') FROM '[^/]*$'), '');

-- media_items does not say what kind of file each is (the strategy copies a file_type that the legacy table lacks), so
-- the kind is the top-level type of its MIME type. https://www.rfc-editor.org/rfc/rfc2045#section-5.1
CREATE FUNCTION lockstep_forward.file_type_of(mime_type TEXT) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE lower(split_part(mime_type, '/', 1) COLLATE "C")
  WHEN 'image' THEN 'image'
  WHEN 'video' THEN 'video'
  WHEN 'audio' THEN 'audio'
  ELSE 'file'
END;

-- The projects whose rows can have an owner.
CREATE VIEW lockstep_forward.owned_projects AS
SELECT vp.id, vp.user_id
FROM public.video_projects vp
WHERE EXISTS (SELECT FROM public.users u WHERE u.id = vp.user_id);

CREATE VIEW lockstep_forward.media_files AS
SELECT
  p.id,
  project.user_id,
  -- Erratum 12: NULL name, MIME type or size have a substitute; what is too long is refused by the column.
  lockstep_forward.as_stored(coalesce(p.original_filename, lockstep_forward.name_from_url(p.file_url)), 255)
    AS original_filename,
  'legacy/photos/' || p.id::TEXT AS file_key,
  p.file_url,
  p.thumbnail_url,
  'image'::VARCHAR AS file_type,
  lockstep_forward.as_stored(coalesce(p.mime_type, 'application/octet-stream'), 100) AS mime_type,
  coalesce(p.file_size_bytes, 0) AS file_size_bytes,
  p.width,
  p.height,
  NULL::INTEGER AS duration_seconds,
  'completed'::VARCHAR AS processing_status,
  p.metadata,
  '/projects/' || p.project_id::TEXT AS folder_path,
  p.created_at AS uploaded_at,
  p.created_at,
  p.updated_at
FROM public.photos p
CROSS JOIN LATERAL (
  SELECT user_id FROM lockstep_forward.owned_projects WHERE id = p.project_id OFFSET 0
) AS project
UNION ALL
SELECT
  mi.id,
  mi.user_id,
  lockstep_forward.as_stored(coalesce(mi.original_filename, lockstep_forward.name_from_url(mi.file_url)), 255),
  'legacy/media/' || mi.id::TEXT,
  mi.file_url,
  mi.thumbnail_url,
  lockstep_forward.file_type_of(mi.mime_type),
  lockstep_forward.as_stored(coalesce(mi.mime_type, 'application/octet-stream'), 100),
  coalesce(mi.file_size_bytes, 0),
  mi.width,
  mi.height,
  NULL,
  'completed'::VARCHAR,
  mi.metadata,
  '/library',
  mi.created_at,
  mi.created_at,
  mi.updated_at
FROM public.media_items mi
CROSS JOIN LATERAL (SELECT FROM public.users WHERE id = mi.user_id OFFSET 0) AS owner
UNION ALL
SELECT
  -- Erratum 10: the generated video's own id, not a random one that is found again through the metadata.
  gv.id,
  project.user_id,
  ('generated_video_' || gv.id::TEXT || '.mp4')::VARCHAR,
  'generated/videos/' || gv.id::TEXT,
  gv.file_url,
  gv.thumbnail_url,
  'video'::VARCHAR,
  'video/mp4'::VARCHAR,
  coalesce(gv.file_size_bytes, 0),
  NULL,
  NULL,
  gv.duration_seconds,
  CASE gv.status
    WHEN 'completed' THEN 'completed'
    WHEN 'failed' THEN 'failed'
    ELSE 'processing'
  END::VARCHAR,
  jsonb_build_object('generation_job_id', gv.id, 'ai_prompt', gv.ai_prompt),
  '/generated/' || gv.project_id::TEXT,
  -- Erratum 11: a video that is not completed has no completed_at.
  coalesce(gv.completed_at, gv.created_at),
  gv.created_at,
  gv.updated_at
FROM public.generated_videos gv
CROSS JOIN LATERAL (
  SELECT user_id FROM lockstep_forward.owned_projects WHERE id = gv.project_id OFFSET 0
) AS project
WHERE gv.file_url IS NOT NULL;

CREATE VIEW lockstep_forward.project_media AS
SELECT
  placed.id,
  placed.project_id,
  placed.id AS media_file_id,
  -- Erratum 13: in the order of upload_order, created_at, id (without a number: last) each photo keeps its number, unless
  -- one before it has that number or a higher one; then it takes the next. So a project without ties keeps them all.
  -- A photo that has moved past the largest INTEGER is refused by the column: hence BIGINT.
  placed.position + coalesce(
    max(placed.upload_order - placed.position) OVER (
      PARTITION BY placed.project_id
      ORDER BY placed.upload_order NULLS LAST, placed.created_at, placed.id ROWS UNBOUNDED PRECEDING
    ), -1) AS display_order,
  3.0::NUMERIC(5,2) AS duration_seconds,
  'fade'::VARCHAR AS transition_type,
  placed.created_at AS added_at
FROM (
  SELECT p.id, p.project_id, p.upload_order, p.created_at,
         row_number() OVER (
           PARTITION BY p.project_id ORDER BY p.upload_order NULLS LAST, p.created_at, p.id
         ) AS position
  FROM public.photos p
  CROSS JOIN LATERAL (SELECT FROM lockstep_forward.owned_projects WHERE id = p.project_id OFFSET 0) AS project
) AS placed;
