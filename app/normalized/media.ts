import { z } from 'zod';
import { columnsOf, metadataText } from '../changes.ts';
import { lockProjectSql } from '../plans.ts';
import type { MediaRepository } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { mediaFile, projectMedia } from '../types.ts';

const files = `
  SELECT id, user_id AS "userId", original_filename AS "originalFilename", file_key AS "fileKey", file_url AS "fileUrl",
         thumbnail_url AS "thumbnailUrl", file_type AS "fileType", mime_type AS "mimeType",
         file_size_bytes AS "fileSizeBytes", width, height, duration_seconds AS "durationSeconds",
         processing_status AS "processingStatus", metadata, folder_path AS "folderPath", uploaded_at AS "uploadedAt",
         created_at AS "createdAt", updated_at AS "updatedAt"
  FROM public.media_files`;

export const mediaFileSql = `${files} WHERE id = $1`;
export const userMediaFilesSql = `${files}
  WHERE user_id = $1 AND ($2::text IS NULL OR file_type = $2) AND ($3::text IS NULL OR folder_path = $3)
  ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5`;
export const projectMediaSql = `
  SELECT id, project_id AS "projectId", media_file_id AS "mediaFileId", display_order AS "displayOrder",
         duration_seconds AS "durationSeconds", transition_type AS "transitionType", added_at AS "addedAt"
  FROM public.project_media WHERE project_id = $1 ORDER BY display_order`;

/*
 * New rows look as rows that have come from legacy do (ids, keys, folders, three seconds, fade), so that legacy can hold
 * them too, for as long as there may be a way back.
 */
const typeOf = (mimeType: string): string => `CASE lower(split_part(${mimeType}, '/', 1) COLLATE "C")
  WHEN 'image' THEN 'image' WHEN 'video' THEN 'video' WHEN 'audio' THEN 'audio' ELSE 'file' END`;

export const insertPhotoFileSql = `
  INSERT INTO public.media_files (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type,
    file_size_bytes, width, height, metadata, folder_path)
  SELECT $1::uuid, vp.user_id, $3, 'legacy/photos/' || $1, $4, $5, 'image', $6, $7, $8, $9, $10::jsonb, '/projects/' || vp.id
  FROM public.video_projects vp WHERE vp.id = $2
  ON CONFLICT (id) DO NOTHING`;
export const placePhotoSql = `
  INSERT INTO public.project_media (id, project_id, media_file_id, display_order, duration_seconds, transition_type)
  SELECT $1, $2, $1, coalesce(max(display_order), 0) + 1, 3.0, 'fade'
  FROM public.project_media WHERE project_id = $2`;
export const insertItemFileSql = `
  INSERT INTO public.media_files (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type,
    file_size_bytes, width, height, metadata, folder_path)
  SELECT $1::uuid, u.id, $3, 'legacy/media/' || $1, $4, $5, ${typeOf('$6::text')}, $6, $7, $8, $9, $10::jsonb, '/library'
  FROM public.users u WHERE u.id = $2
  ON CONFLICT (id) DO NOTHING`;
export const userExistsSql = 'SELECT id FROM public.users WHERE id = $1';

const ofNoJob = 'NOT EXISTS (SELECT FROM public.generation_jobs gj WHERE gj.id = f.id)';
export const updateFileSql = `
  UPDATE public.media_files f
  SET (original_filename, file_url, thumbnail_url, mime_type, file_size_bytes, width, height, metadata, file_type) = (
    SELECT n.original_filename, n.file_url, n.thumbnail_url, n.mime_type, n.file_size_bytes, n.width, n.height, n.metadata,
           CASE WHEN f.file_key LIKE 'legacy/media/%' THEN ${typeOf('n.mime_type')} ELSE f.file_type END
    FROM jsonb_populate_record(f, $2::jsonb) AS n), updated_at = now()
  WHERE f.id = $1 AND ${ofNoJob}`;
export const deleteFileSql = `DELETE FROM public.media_files f WHERE f.id = $1 AND ${ofNoJob}`;

export const orderMediaSql = `
  UPDATE public.project_media pm SET display_order = placed.place
  FROM (
    SELECT id, row_number() OVER (ORDER BY array_position($2::uuid[], media_file_id), display_order) AS place
    FROM public.project_media WHERE project_id = $1
  ) AS placed
  WHERE pm.id = placed.id AND pm.display_order <> placed.place`;

const idRow = z.strictObject({ id: z.string() });

const fileColumns = {
  originalFilename: 'original_filename',
  fileUrl: 'file_url',
  thumbnailUrl: 'thumbnail_url',
  mimeType: 'mime_type',
  fileSizeBytes: 'file_size_bytes',
  width: 'width',
  height: 'height',
  metadata: 'metadata',
} as const;

/** Media on media_files and project_media. */
export function normalizedMedia(sql: Sql): MediaRepository {
  return {
    getMediaFile: (id) => sql.row(mediaFile, mediaFileSql, [id]),
    getUserMediaFiles: (userId, { fileType = null, folderPath = null, limit = 100, offset = 0 } = {}) =>
      sql.rows(mediaFile, userMediaFilesSql, [userId, fileType, folderPath, limit, offset]),
    getProjectMedia: (projectId) => sql.rows(projectMedia, projectMediaSql, [projectId]),

    addPhoto: (projectId, file) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockProjectSql, [projectId]))) return false;
        const { id, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height } = file;
        const row = [id, projectId, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height];
        const added = await tx.run(insertPhotoFileSql, [...row, metadataText(file.metadata)]);
        if (added > 0) await tx.run(placePhotoSql, [id, projectId]);
        return true;
      }),

    async addMediaItem(userId, file) {
      if (!(await sql.row(idRow, userExistsSql, [userId]))) return false;
      const { id, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height } = file;
      const row = [id, userId, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height];
      await sql.run(insertItemFileSql, [...row, metadataText(file.metadata)]);
      return true;
    },

    updateMediaFile: async (id, changes) => (await sql.run(updateFileSql, [id, columnsOf(changes, fileColumns)])) > 0,
    deleteMediaFile: async (id) => (await sql.run(deleteFileSql, [id])) > 0,

    orderProjectMedia: (projectId, mediaFileIds) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockProjectSql, [projectId]))) return false;
        await tx.run(orderMediaSql, [projectId, mediaFileIds]);
        return true;
      }),
  };
}
