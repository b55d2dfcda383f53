import { z } from 'zod';
import { columnsOf, metadataText } from '../changes.ts';
import { lockProjectSql } from '../plans.ts';
import type { MediaRepository } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { type MediaFile, mediaFile, projectMedia } from '../types.ts';
import { fileKey, libraryKey, projectKey, type Touch } from './keys.ts';
import { mediaFileSql, mediaItemSql, photoSql, projectMediaSql, userMediaFilesSql } from './media-sql.ts';

/** At the end: photos without a number come last, by their age, so with one of them it has none either. */
export const insertPhotoSql = `
  INSERT INTO public.photos (id, project_id, original_filename, file_url, thumbnail_url, mime_type, file_size_bytes, width,
    height, metadata, upload_order)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb,
         CASE WHEN bool_or(upload_order IS NULL) THEN NULL ELSE least(coalesce(max(upload_order), 0)::bigint + 1, 2147483647) END
  FROM public.photos WHERE project_id = $2
  ON CONFLICT (id) DO NOTHING`;
export const insertMediaItemSql = `
  INSERT INTO public.media_items (id, user_id, original_filename, file_url, thumbnail_url, mime_type, file_size_bytes, width,
    height, metadata)
  SELECT $1, u.id, $3, $4, $5, $6, $7, $8, $9, $10::jsonb FROM public.users u WHERE u.id = $2
  ON CONFLICT (id) DO NOTHING`;
export const userExistsSql = 'SELECT id FROM public.users WHERE id = $1';

/** Legacy keeps a user's total by hand. */
export const addStorageSql = `
  UPDATE public.users SET total_storage_bytes = coalesce(total_storage_bytes, 0) + $2 WHERE id = $1`;

/** What has no owner is not there for anyone, on either side (erratum 14). */
const hasOwner = `EXISTS (SELECT FROM public.video_projects vp JOIN public.users u ON u.id = vp.user_id WHERE vp.id = project_id)`;
const itemHasOwner = 'EXISTS (SELECT FROM public.users u WHERE u.id = user_id)';
const owned = `coalesce(file_size_bytes, 0) AS bytes, project_id AS "projectId",
  (SELECT vp.user_id FROM public.video_projects vp WHERE vp.id = project_id) AS "userId"`;
const itemOwned = 'coalesce(file_size_bytes, 0) AS bytes, NULL::uuid AS "projectId", user_id AS "userId"';

export const lockPhotoSql = `SELECT ${owned} FROM public.photos WHERE id = $1 AND ${hasOwner} FOR NO KEY UPDATE`;
export const lockMediaItemSql = `SELECT ${itemOwned} FROM public.media_items WHERE id = $1 AND ${itemHasOwner} FOR NO KEY UPDATE`;
const changed = `(original_filename, file_url, thumbnail_url, mime_type, file_size_bytes, width, height, metadata) = (
  SELECT n.original_filename, n.file_url, n.thumbnail_url, n.mime_type, n.file_size_bytes, n.width, n.height, n.metadata
  FROM jsonb_populate_record(f, $2::jsonb) AS n), updated_at = now() WHERE f.id = $1`;
export const updatePhotoSql = `UPDATE public.photos f SET ${changed} RETURNING ${owned}`;
export const updateMediaItemSql = `UPDATE public.media_items f SET ${changed} RETURNING ${itemOwned}`;
export const deletePhotoSql = `DELETE FROM public.photos WHERE id = $1 AND ${hasOwner} RETURNING ${owned}`;
export const deleteMediaItemSql = `DELETE FROM public.media_items WHERE id = $1 AND ${itemHasOwner} RETURNING ${itemOwned}`;

/** The order is the project's: the photos themselves do not change. */
export const orderPhotosSql = `
  UPDATE public.photos p SET upload_order = placed.place
  FROM (
    SELECT id, row_number() OVER (ORDER BY array_position($2::uuid[], id), upload_order NULLS LAST, created_at, id) AS place
    FROM public.photos WHERE project_id = $1
  ) AS placed
  WHERE p.id = placed.id AND p.upload_order IS DISTINCT FROM placed.place`;

const idRow = z.strictObject({ id: z.string() });
const ownedFile = z.strictObject({
  bytes: z.int(),
  projectId: z.string().nullable(),
  userId: z.string().nullable(),
});
type OwnedFile = z.infer<typeof ownedFile>;

/** The field's column, of photos and media items alike. */
export const fileColumns = {
  originalFilename: 'original_filename',
  fileUrl: 'file_url',
  thumbnailUrl: 'thumbnail_url',
  mimeType: 'mime_type',
  fileSizeBytes: 'file_size_bytes',
  width: 'width',
  height: 'height',
  metadata: 'metadata',
} as const;

export interface LegacyMediaRepository extends MediaRepository {
  getPhotoLegacy(id: string): Promise<MediaFile | null>;
  getMediaItemLegacy(id: string): Promise<MediaFile | null>;
}

/** Media on photos, media_items and generated_videos. */
export function legacyMedia(sql: Sql, touch: Touch): LegacyMediaRepository {
  const touchFile = (id: string, { userId, projectId }: OwnedFile) => {
    touch(fileKey(id));
    if (userId !== null) touch(libraryKey(userId));
    if (projectId !== null) touch(projectKey(projectId));
  };
  const addStorage = async (tx: Sql, userId: string | null, bytes: number) => {
    if (userId !== null && bytes !== 0) await tx.run(addStorageSql, [userId, bytes]);
  };
  return {
    getMediaFile: (id) => sql.row(mediaFile, mediaFileSql, [id]),
    getPhotoLegacy: (id) => sql.row(mediaFile, photoSql, [id]),
    getMediaItemLegacy: (id) => sql.row(mediaFile, mediaItemSql, [id]),
    getUserMediaFiles: (userId, { fileType = null, folderPath = null, limit = 100, offset = 0 } = {}) =>
      sql.rows(mediaFile, userMediaFilesSql, [userId, fileType, folderPath, limit, offset]),
    getProjectMedia: (projectId) => sql.rows(projectMedia, projectMediaSql, [projectId]),

    addPhoto: (projectId, file) =>
      sql.transaction(async (tx) => {
        const owner = await tx.row(idRow, lockProjectSql, [projectId]);
        if (!owner) return false;
        const { id, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height } = file;
        const row = [id, projectId, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height];
        const added = await tx.run(insertPhotoSql, [...row, metadataText(file.metadata)]);
        if (added > 0) await addStorage(tx, owner.id, fileSizeBytes);
        touchFile(id, { bytes: fileSizeBytes, projectId, userId: owner.id });
        return true;
      }),

    addMediaItem: (userId, file) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, userExistsSql, [userId]))) return false;
        const { id, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height } = file;
        const row = [id, userId, originalFilename, fileUrl, thumbnailUrl, mimeType, fileSizeBytes, width, height];
        const added = await tx.run(insertMediaItemSql, [...row, metadataText(file.metadata)]);
        if (added > 0) await addStorage(tx, userId, fileSizeBytes);
        touchFile(id, { bytes: fileSizeBytes, projectId: null, userId });
        return true;
      }),

    updateMediaFile: (id, changes) =>
      sql.transaction(async (tx) => {
        const columns = columnsOf(changes, fileColumns);
        for (const [lock, update] of [
          [lockPhotoSql, updatePhotoSql],
          [lockMediaItemSql, updateMediaItemSql],
        ] as const) {
          const before = await tx.row(ownedFile, lock, [id]);
          const after = before && (await tx.row(ownedFile, update, [id, columns]));
          if (!after) continue;
          await addStorage(tx, after.userId, after.bytes - before.bytes);
          touchFile(id, after);
          return true;
        }
        return false;
      }),

    deleteMediaFile: (id) =>
      sql.transaction(async (tx) => {
        const deleted =
          (await tx.row(ownedFile, deletePhotoSql, [id])) ?? (await tx.row(ownedFile, deleteMediaItemSql, [id]));
        if (!deleted) return false;
        await addStorage(tx, deleted.userId, -deleted.bytes);
        touchFile(id, deleted);
        return true;
      }),

    orderProjectMedia: (projectId, mediaFileIds) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockProjectSql, [projectId]))) return false;
        await tx.run(orderPhotosSql, [projectId, mediaFileIds]);
        touch(projectKey(projectId));
        return true;
      }),
  };
}
