-- Phase 2.2 of the strategy (and the media files of 2.3, generated videos): what media_files and project_media hold, as
-- views. The engine keeps the tables equal to them; 007 has the counts. Rows without a project, or whose project or
-- user is missing, are left out and listed by lockstep_forward.orphans (erratum 14). Then the way back: what photos and
-- media_items hold while the normalized tables are the truth.

-- Erratum 12: the name for a file that has none: the last segment of its URL's path. NULL when the path is empty.
CREATE FUNCTION lockstep_forward.name_from_url(url TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(substring(rtrim(split_part(split_part(url, '#', 1), '?', 1), '/') FROM '[^/]*$'), '');

-- Erratum 12: NULL name and MIME type have a substitute; what is too long is refused by the column.
CREATE FUNCTION lockstep_forward.filename_of(original TEXT, url TEXT) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lockstep_forward.as_stored(coalesce(original, lockstep_forward.name_from_url(url)), 255);

CREATE FUNCTION lockstep_forward.mime_type_of(mime_type TEXT) RETURNS VARCHAR
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lockstep_forward.as_stored(coalesce(mime_type, 'application/octet-stream'), 100);

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
  lockstep_forward.filename_of(p.original_filename, p.file_url) AS original_filename,
  'legacy/photos/' || p.id::TEXT AS file_key,
  p.file_url,
  p.thumbnail_url,
  'image'::VARCHAR AS file_type,
  lockstep_forward.mime_type_of(p.mime_type) AS mime_type,
  -- Erratum 12: so has a NULL size.
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
  lockstep_forward.filename_of(mi.original_filename, mi.file_url),
  'legacy/media/' || mi.id::TEXT,
  mi.file_url,
  mi.thumbnail_url,
  lockstep_forward.file_type_of(mi.mime_type),
  lockstep_forward.mime_type_of(mi.mime_type),
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

-- The way back. A legacy photo is a file in one project; a file of the new schema may be in none or in several, under
-- placements with ids of their own. So each file has one home: a placement, which makes it a photo of that project under
-- its own id; or none, which makes it a media item (or, if a video was generated into it, no row of its own). Its other
-- placements, if it is an image, become photos too, copies under the placement's id: legacy has no other way to show
-- a picture in a second project, or one of the library in any.
CREATE VIEW lockstep_reverse.homes AS
SELECT
  mf.id,
  generated.by_job IS NOT NULL AS is_generated,
  CASE
    WHEN generated.by_job IS NULL AND mf.file_type = 'image' THEN coalesce(
      (SELECT pm.id FROM public.project_media pm WHERE pm.id = mf.id AND pm.media_file_id = mf.id),
      CASE
        -- A file of the library stays there, wherever else it is shown.
        WHEN mf.file_key NOT LIKE 'legacy/media/%' AND mf.folder_path IS DISTINCT FROM '/library' THEN (
          SELECT pm.id FROM public.project_media pm WHERE pm.media_file_id = mf.id ORDER BY pm.added_at, pm.id LIMIT 1)
      END)
  END AS project_media_id
FROM public.media_files mf
LEFT JOIN LATERAL (
  -- Erratum 10: the file of a generated video has the video's id. A job with another file has no room for this one.
  SELECT gj.id AS by_job FROM public.generation_jobs gj
  WHERE gj.id = mf.id AND gj.job_type = 'video' AND gj.output_file_id IS NOT NULL
  UNION ALL
  SELECT mf.id FROM lockstep_reverse.refused r WHERE r.target = 'generation_jobs' AND r.scope = ARRAY[mf.id::TEXT]
  LIMIT 1
) AS generated ON TRUE;

-- Photos by project. Erratum 13 the other way: the legacy numbers of a project stay, NULLs and ties included, as long as
-- the forward view makes of them the places that its photos have now; otherwise all take the number of their place.
CREATE VIEW lockstep_reverse.photos AS
SELECT
  numbered.id,
  numbered.project_id,
  numbered.original_filename,
  numbered.file_url,
  numbered.thumbnail_url,
  numbered.mime_type,
  numbered.file_size_bytes,
  numbered.width,
  numbered.height,
  numbered.metadata,
  CASE
    WHEN numbered.display_order IS NULL OR bool_and(numbered.renumbered = numbered.display_order) OVER (
      PARTITION BY numbered.project_id) THEN numbered.upload_order
    ELSE numbered.display_order
  END AS upload_order,
  numbered.created_at,
  numbered.updated_at
FROM (
  SELECT
    positioned.*,
    positioned.position + coalesce(
      max(positioned.upload_order - positioned.position) OVER (
        PARTITION BY positioned.project_id
        ORDER BY positioned.upload_order NULLS LAST, positioned.created_at, positioned.id ROWS UNBOUNDED PRECEDING
      ), -1) AS renumbered
  FROM (
    SELECT
      photo.*,
      row_number() OVER (
        PARTITION BY photo.project_id ORDER BY photo.upload_order NULLS LAST, photo.created_at, photo.id
      ) AS position
    FROM (
      SELECT
        CASE WHEN pm.id = home.project_media_id THEN pm.media_file_id ELSE pm.id END AS id,
        pm.project_id,
        lockstep_reverse.unless_changed(p.original_filename,
          CASE WHEN p.id IS NOT NULL THEN lockstep_forward.filename_of(p.original_filename, mf.file_url) END,
          mf.original_filename)::TEXT AS original_filename,
        mf.file_url,
        mf.thumbnail_url,
        lockstep_reverse.unless_changed(p.mime_type, p.carried_mime_type, mf.mime_type)::TEXT AS mime_type,
        lockstep_reverse.unless_changed(p.file_size_bytes, p.carried_file_size_bytes, mf.file_size_bytes)
          AS file_size_bytes,
        mf.width,
        mf.height,
        mf.metadata,
        CASE WHEN p.project_id = pm.project_id THEN p.upload_order ELSE pm.display_order END AS upload_order,
        mf.created_at,
        mf.updated_at,
        pm.display_order
      FROM public.project_media pm
      CROSS JOIN LATERAL (SELECT * FROM public.media_files WHERE id = pm.media_file_id OFFSET 0) AS mf
      CROSS JOIN LATERAL (SELECT * FROM lockstep_reverse.homes WHERE id = pm.media_file_id OFFSET 0) AS home
      LEFT JOIN LATERAL (
        SELECT legacy.*, lockstep_forward.mime_type_of(legacy.mime_type) AS carried_mime_type,
               coalesce(legacy.file_size_bytes, 0) AS carried_file_size_bytes
        FROM public.photos legacy
        WHERE legacy.id = CASE WHEN pm.id = home.project_media_id THEN pm.media_file_id ELSE pm.id END
        OFFSET 0
      ) AS p ON TRUE
      WHERE pm.id = home.project_media_id
        -- A copy, unless its id is that of another file.
        OR (mf.file_type = 'image'
          AND (SELECT other.id FROM public.media_files other WHERE other.id = pm.id) IS NULL
          AND (SELECT gj.id FROM public.generation_jobs gj WHERE gj.id = pm.id) IS NULL)
      UNION ALL
      -- What was never carried over: orphans, refused photos, photos of refused projects.
      SELECT p.id, p.project_id, p.original_filename, p.file_url, p.thumbnail_url, p.mime_type, p.file_size_bytes, p.width,
             p.height, p.metadata, p.upload_order, p.created_at, p.updated_at, NULL
      FROM public.photos p
      WHERE (SELECT pm.id FROM public.project_media pm WHERE pm.id = p.id) IS NULL
        AND (SELECT pm.id FROM public.project_media pm WHERE pm.media_file_id = p.id LIMIT 1) IS NULL
        AND (
          ((SELECT mf.id FROM public.media_files mf WHERE mf.id = p.id) IS NULL
            AND (SELECT o.id FROM lockstep_forward.owned_projects o WHERE o.id = p.project_id) IS NULL)
          OR EXISTS (SELECT FROM lockstep_reverse.refused r WHERE r.target = 'media_files' AND r.scope = ARRAY[p.id::TEXT])
          OR EXISTS (
            SELECT FROM lockstep_reverse.refused r WHERE r.target = 'project_media' AND r.scope = ARRAY[p.project_id::TEXT])
        )
    ) AS photo
  ) AS positioned
) AS numbered;

CREATE VIEW lockstep_reverse.media_items AS
SELECT
  mf.id,
  mf.user_id,
  lockstep_reverse.unless_changed(mi.original_filename,
    CASE WHEN mi.id IS NOT NULL THEN lockstep_forward.filename_of(mi.original_filename, mf.file_url) END,
    mf.original_filename)::TEXT AS original_filename,
  mf.file_url,
  mf.thumbnail_url,
  lockstep_reverse.unless_changed(mi.mime_type, mi.carried_mime_type, mf.mime_type)::TEXT AS mime_type,
  lockstep_reverse.unless_changed(mi.file_size_bytes, mi.carried_file_size_bytes, mf.file_size_bytes) AS file_size_bytes,
  mf.width,
  mf.height,
  mf.metadata,
  mf.created_at,
  mf.updated_at
FROM public.media_files mf
CROSS JOIN LATERAL (SELECT * FROM lockstep_reverse.homes WHERE id = mf.id OFFSET 0) AS home
LEFT JOIN LATERAL (
  SELECT legacy.*, lockstep_forward.mime_type_of(legacy.mime_type) AS carried_mime_type,
         coalesce(legacy.file_size_bytes, 0) AS carried_file_size_bytes
  FROM public.media_items legacy
  WHERE legacy.id = mf.id
  OFFSET 0
) AS mi ON TRUE
WHERE NOT home.is_generated AND home.project_media_id IS NULL
  -- The photo of a refused project stays where it is.
  AND NOT EXISTS (
    SELECT FROM public.photos p JOIN lockstep_reverse.refused r
      ON r.target = 'project_media' AND r.scope = ARRAY[p.project_id::TEXT]
    WHERE p.id = mf.id)
UNION ALL
SELECT mi.id, mi.user_id, mi.original_filename, mi.file_url, mi.thumbnail_url, mi.mime_type, mi.file_size_bytes, mi.width,
       mi.height, mi.metadata, mi.created_at, mi.updated_at
FROM public.media_items mi
WHERE (SELECT mf.id FROM public.media_files mf WHERE mf.id = mi.id) IS NULL
  AND ((SELECT u.id FROM public.users u WHERE u.id = mi.user_id) IS NULL
    OR EXISTS (SELECT FROM lockstep_reverse.refused r WHERE r.target = 'media_files' AND r.scope = ARRAY[mi.id::TEXT]));
