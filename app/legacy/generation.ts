import { z } from 'zod';
import { columnsOf } from '../changes.ts';
import type { GenerationRepository } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { type GenerationJob, generationJob } from '../types.ts';
import { fileKey, jobKey, libraryKey, projectJobsKey, type Touch, videosKey } from './keys.ts';
import { addStorageSql } from './media.ts';
import { stored } from './stored.ts';

const jobs = `
  SELECT gv.id, gv.project_id AS "projectId", u.id AS "userId", 'video' AS "jobType", gv.status,
         gv.progress_percentage AS "progressPercentage", ${stored('gv.generation_service', 50)} AS "generationService",
         ${stored('gv.external_generation_id', 255)} AS "externalJobId", gv.duration_seconds AS "actualDurationSeconds",
         CASE WHEN gv.file_url IS NOT NULL THEN gv.id END AS "outputFileId",
         jsonb_build_object('file_url', gv.file_url, 'thumbnail_url', gv.thumbnail_url, 'file_size_bytes',
           gv.file_size_bytes, 'duration_seconds', gv.duration_seconds) AS "outputMetadata",
         gv.error_message AS "errorMessage", gv.created_at AS "queuedAt", gv.started_at AS "startedAt",
         gv.completed_at AS "completedAt", CASE WHEN gv.status = 'failed' THEN gv.updated_at END AS "failedAt"
  FROM public.generated_videos gv JOIN public.video_projects vp ON vp.id = gv.project_id
  JOIN public.users u ON u.id = vp.user_id`;

export const jobSql = `${jobs} WHERE gv.id = $1`;
export const projectJobsSql = `${jobs} WHERE gv.project_id = $1 ORDER BY gv.created_at DESC, gv.id DESC`;

export const projectOwnerSql = `
  SELECT vp.user_id AS id FROM public.video_projects vp JOIN public.users u ON u.id = vp.user_id WHERE vp.id = $1`;
export const insertVideoSql = `
  INSERT INTO public.generated_videos (id, project_id, generation_service, external_generation_id, ai_prompt)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`;

const hasOwner = `EXISTS (SELECT FROM public.video_projects vp JOIN public.users u ON u.id = vp.user_id WHERE vp.id = gv.project_id)`;
const owned = `gv.project_id AS "projectId", (SELECT vp.user_id FROM public.video_projects vp WHERE vp.id = gv.project_id) AS "userId",
  CASE WHEN gv.file_url IS NULL THEN 0 ELSE coalesce(gv.file_size_bytes, 0) END AS bytes`;
export const lockVideoSql = `SELECT ${owned} FROM public.generated_videos gv WHERE gv.id = $1 AND ${hasOwner} FOR NO KEY UPDATE`;
export const updateVideoSql = `
  UPDATE public.generated_videos gv
  SET (status, progress_percentage, external_generation_id, error_message, started_at, completed_at, duration_seconds,
       file_url, thumbnail_url, file_size_bytes) = (
    SELECT n.status, n.progress_percentage, n.external_generation_id, n.error_message, n.started_at, n.completed_at,
           n.duration_seconds, n.file_url, n.thumbnail_url, n.file_size_bytes
    FROM jsonb_populate_record(gv, $2::jsonb) AS n), updated_at = now()
  WHERE gv.id = $1 RETURNING ${owned}`;
export const deleteVideoSql = `DELETE FROM public.generated_videos gv WHERE gv.id = $1 AND ${hasOwner} RETURNING ${owned}`;

const idRow = z.strictObject({ id: z.string() });
const ownedVideo = z.strictObject({ projectId: z.string().nullable(), userId: z.string().nullable(), bytes: z.int() });

const columns = {
  status: 'status',
  progressPercentage: 'progress_percentage',
  externalJobId: 'external_generation_id',
  errorMessage: 'error_message',
  startedAt: 'started_at',
  completedAt: 'completed_at',
  durationSeconds: 'duration_seconds',
  fileUrl: 'file_url',
  thumbnailUrl: 'thumbnail_url',
  fileSizeBytes: 'file_size_bytes',
} as const;

export interface LegacyGenerationRepository extends GenerationRepository {
  getGeneratedVideoLegacy(id: string): Promise<GenerationJob | null>;
}

/** Jobs on generated_videos. */
export function legacyGeneration(sql: Sql, touch: Touch): LegacyGenerationRepository {
  const getGenerationJob = (id: string) => sql.row(generationJob, jobSql, [id]);
  /** Notes what is touched, and the bytes that the user has more. */
  const written = async (tx: Sql, id: string, { projectId, userId }: z.infer<typeof ownedVideo>, bytes: number) => {
    if (userId !== null && bytes !== 0) await tx.run(addStorageSql, [userId, bytes]);
    touch(jobKey(id));
    touch(fileKey(id));
    if (projectId !== null) touch(projectJobsKey(projectId));
    if (userId !== null) for (const key of [libraryKey(userId), videosKey(userId)]) touch(key);
  };
  return {
    getGenerationJob,
    getGeneratedVideoLegacy: getGenerationJob,
    getProjectJobs: (projectId) => sql.rows(generationJob, projectJobsSql, [projectId]),

    createGenerationJob: ({ id, projectId, generationService, externalJobId, aiPrompt }) =>
      sql.transaction(async (tx) => {
        const owner = await tx.row(idRow, projectOwnerSql, [projectId]);
        if (!owner) return false;
        await tx.run(insertVideoSql, [id, projectId, generationService, externalJobId, aiPrompt]);
        await written(tx, id, { projectId, userId: owner.id, bytes: 0 }, 0);
        return true;
      }),

    updateGenerationJob: (id, changes) =>
      sql.transaction(async (tx) => {
        const before = await tx.row(ownedVideo, lockVideoSql, [id]);
        const after = before && (await tx.row(ownedVideo, updateVideoSql, [id, columnsOf(changes, columns)]));
        if (!after) return false;
        await written(tx, id, after, after.bytes - before.bytes);
        return true;
      }),

    deleteGenerationJob: (id) =>
      sql.transaction(async (tx) => {
        const deleted = await tx.row(ownedVideo, deleteVideoSql, [id]);
        if (!deleted) return false;
        await written(tx, id, deleted, -deleted.bytes);
        return true;
      }),
  };
}
