import { stored } from './stored.ts';

/*
 * Photos, media items and generated videos as media files, by the same rules as the views of steps 004-006 and written
 * without them: shadow reads and a property test compare the two. What the new schema refuses has an answer here as well.
 */

/** Erratum 12: without a name it is the last segment of the URL's path. */
const nameOf = (row: string): string =>
  `coalesce(${row}.original_filename, nullif(substring(rtrim(split_part(split_part(${row}.file_url, '#', 1), '?', 1), '/') FROM '[^/]*$'), ''))`;
const mimeTypeOf = (row: string): string => `coalesce(${row}.mime_type, 'application/octet-stream')`;

const photos = `
  SELECT p.id, u.id AS "userId", ${stored(nameOf('p'), 255)} AS "originalFilename", 'legacy/photos/' || p.id AS "fileKey",
         p.file_url AS "fileUrl", p.thumbnail_url AS "thumbnailUrl", 'image' AS "fileType",
         ${stored(mimeTypeOf('p'), 100)} AS "mimeType", coalesce(p.file_size_bytes, 0) AS "fileSizeBytes",
         p.width, p.height, NULL::integer AS "durationSeconds", 'completed' AS "processingStatus", p.metadata,
         '/projects/' || p.project_id AS "folderPath", p.created_at AS "uploadedAt", p.created_at AS "createdAt",
         p.updated_at AS "updatedAt"
  FROM public.photos p JOIN public.video_projects vp ON vp.id = p.project_id JOIN public.users u ON u.id = vp.user_id`;

const mediaItems = `
  SELECT mi.id, u.id, ${stored(nameOf('mi'), 255)}, 'legacy/media/' || mi.id, mi.file_url, mi.thumbnail_url,
         CASE lower(split_part(mi.mime_type, '/', 1) COLLATE "C")
           WHEN 'image' THEN 'image' WHEN 'video' THEN 'video' WHEN 'audio' THEN 'audio' ELSE 'file' END,
         ${stored(mimeTypeOf('mi'), 100)}, coalesce(mi.file_size_bytes, 0), mi.width, mi.height, NULL::integer, 'completed',
         mi.metadata, '/library', mi.created_at, mi.created_at, mi.updated_at
  FROM public.media_items mi JOIN public.users u ON u.id = mi.user_id`;

const videos = `
  SELECT gv.id, u.id, 'generated_video_' || gv.id || '.mp4', 'generated/videos/' || gv.id, gv.file_url, gv.thumbnail_url,
         'video', 'video/mp4', coalesce(gv.file_size_bytes, 0), NULL::integer, NULL::integer, gv.duration_seconds,
         CASE gv.status WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'failed' ELSE 'processing' END,
         jsonb_build_object('generation_job_id', gv.id, 'ai_prompt', gv.ai_prompt), '/generated/' || gv.project_id,
         coalesce(gv.completed_at, gv.created_at), gv.created_at, gv.updated_at
  FROM public.generated_videos gv JOIN public.video_projects vp ON vp.id = gv.project_id
  JOIN public.users u ON u.id = vp.user_id`;

export const photoSql = `${photos} WHERE p.id = $1`;

// The names of the columns come from the first part of a UNION, so the others are wrapped.
const named = (rest: string): string => `SELECT * FROM (${photos} WHERE false UNION ALL ${rest}) AS file`;

export const mediaItemSql = named(`${mediaItems} WHERE mi.id = $1`);

export const mediaFileSql = `
  ${photos} WHERE p.id = $1 UNION ALL ${mediaItems} WHERE mi.id = $1
  UNION ALL ${videos} WHERE gv.id = $1 AND gv.file_url IS NOT NULL`;

export const userMediaFilesSql = `
  SELECT * FROM (
    ${photos} WHERE vp.user_id = $1 UNION ALL ${mediaItems} WHERE mi.user_id = $1
    UNION ALL ${videos} WHERE vp.user_id = $1 AND gv.file_url IS NOT NULL
  ) AS file
  WHERE ($2::text IS NULL OR "fileType" = $2) AND ($3::text IS NULL OR "folderPath" = $3)
  ORDER BY "createdAt" DESC, id DESC LIMIT $4 OFFSET $5`;

/** Erratum 13: a photo keeps its number unless one before it has that number or a higher one. */
export const projectMediaSql = `
  SELECT placed.id, placed.project_id AS "projectId", placed.id AS "mediaFileId",
         placed.position + coalesce(max(placed.upload_order - placed.position) OVER (
           ORDER BY placed.position ROWS UNBOUNDED PRECEDING), -1) AS "displayOrder",
         3.0::numeric AS "durationSeconds", 'fade' AS "transitionType", placed.created_at AS "addedAt"
  FROM (
    SELECT p.id, p.project_id, p.upload_order, p.created_at,
           row_number() OVER (ORDER BY p.upload_order NULLS LAST, p.created_at, p.id) AS position
    FROM public.photos p JOIN public.video_projects vp ON vp.id = p.project_id JOIN public.users u ON u.id = vp.user_id
    WHERE p.project_id = $1
  ) AS placed
  ORDER BY placed.position`;

const ownedBytes = (table: string): string => `
  SELECT f.file_size_bytes FROM public.${table} f JOIN public.video_projects vp ON vp.id = f.project_id
  WHERE vp.user_id = $1`;

/** The bytes of all of a user's files. */
export const storedBytesSql = `
  SELECT coalesce(sum(file_size_bytes), 0) AS bytes FROM (
    ${ownedBytes('photos')}
    UNION ALL SELECT mi.file_size_bytes FROM public.media_items mi WHERE mi.user_id = $1
    UNION ALL ${ownedBytes('generated_videos')} AND f.file_url IS NOT NULL
  ) AS files`;
