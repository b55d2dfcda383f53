import { z } from 'zod';
import { columnsOf } from '../changes.ts';
import type { GenerationRepository } from '../repositories.ts';
import type { Sql } from '../sql.ts';
import { generationJob } from '../types.ts';

const jobs = `
  SELECT id, project_id AS "projectId", user_id AS "userId", job_type AS "jobType", status,
         progress_percentage AS "progressPercentage", generation_service AS "generationService",
         external_job_id AS "externalJobId", actual_duration_seconds AS "actualDurationSeconds",
         output_file_id AS "outputFileId", output_metadata - 'ai_prompt' AS "outputMetadata",
         error_message AS "errorMessage", queued_at AS "queuedAt", started_at AS "startedAt",
         completed_at AS "completedAt", failed_at AS "failedAt"
  FROM public.generation_jobs`;

export const jobSql = `${jobs} WHERE id = $1`;
export const projectJobsSql = `${jobs} WHERE project_id = $1 ORDER BY queued_at DESC, id DESC`;

/** What is known of the output, as it comes from legacy. The prompt waits here for the file, whose metadata has a place for it. */
export const insertJobSql = `
  INSERT INTO public.generation_jobs (id, project_id, user_id, job_type, generation_service, external_job_id, output_metadata)
  SELECT $1, vp.id, u.id, 'video', $3, $4, jsonb_build_object('file_url', NULL, 'thumbnail_url', NULL, 'file_size_bytes', NULL,
           'duration_seconds', NULL) || CASE WHEN $5::text IS NULL THEN '{}' ELSE jsonb_build_object('ai_prompt', $5::text) END
  FROM public.video_projects vp JOIN public.users u ON u.id = vp.user_id WHERE vp.id = $2
  ON CONFLICT (id) DO UPDATE SET id = excluded.id`;

/** failed_at moves with every update of a failed job (erratum 29). */
export const updateJobSql = `
  UPDATE public.generation_jobs gj
  SET (status, progress_percentage, external_job_id, error_message, started_at, completed_at, actual_duration_seconds,
       output_metadata, failed_at) = (
    SELECT n.status, n.progress_percentage, n.external_job_id, n.error_message, n.started_at, n.completed_at,
           n.actual_duration_seconds, coalesce(gj.output_metadata, '{}') || $3::jsonb, CASE WHEN n.status = 'failed' THEN now() END
    FROM jsonb_populate_record(gj, $2::jsonb) AS n)
  WHERE gj.id = $1`;

/** Erratum 10: the file of a generated video has the video's id. */
export const writeOutputSql = `
  INSERT INTO public.media_files AS f (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type,
    file_size_bytes, duration_seconds, processing_status, metadata, folder_path, uploaded_at, created_at)
  SELECT gj.id, gj.user_id, 'generated_video_' || gj.id || '.mp4', 'generated/videos/' || gj.id,
         gj.output_metadata ->> 'file_url', gj.output_metadata ->> 'thumbnail_url', 'video', 'video/mp4',
         coalesce((gj.output_metadata ->> 'file_size_bytes')::bigint, 0), gj.actual_duration_seconds,
         CASE gj.status WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'failed' ELSE 'processing' END,
         jsonb_build_object('generation_job_id', gj.id, 'ai_prompt', gj.output_metadata -> 'ai_prompt'),
         '/generated/' || gj.project_id, coalesce(gj.completed_at, gj.queued_at), gj.queued_at
  FROM public.generation_jobs gj WHERE gj.id = $1 AND gj.output_metadata ->> 'file_url' IS NOT NULL
  ON CONFLICT (id) DO UPDATE SET file_url = excluded.file_url, thumbnail_url = excluded.thumbnail_url,
    file_size_bytes = excluded.file_size_bytes, duration_seconds = excluded.duration_seconds,
    processing_status = excluded.processing_status, uploaded_at = excluded.uploaded_at, updated_at = now()`;
export const linkOutputSql = `
  UPDATE public.generation_jobs SET output_file_id = id, output_metadata = output_metadata - 'ai_prompt'
  WHERE id = $1 AND output_metadata ->> 'file_url' IS NOT NULL`;
/** The prompt, if there is one, goes back to where it waits. */
export const unlinkOutputSql = `
  UPDATE public.generation_jobs gj
  SET output_file_id = NULL, output_metadata = gj.output_metadata || CASE WHEN f.metadata ->> 'ai_prompt' IS NULL THEN '{}'
        ELSE jsonb_build_object('ai_prompt', f.metadata -> 'ai_prompt') END
  FROM public.media_files f WHERE gj.id = $1 AND f.id = gj.output_file_id AND gj.output_metadata ->> 'file_url' IS NULL`;
export const deleteOutputSql = `
  DELETE FROM public.media_files f USING public.generation_jobs gj
  WHERE gj.id = $1 AND f.id = gj.id AND gj.output_file_id IS NULL`;
export const deleteJobFileSql = `
  DELETE FROM public.media_files f USING public.generation_jobs gj WHERE gj.id = $1 AND f.id = gj.id`;
export const deleteJobSql = 'DELETE FROM public.generation_jobs WHERE id = $1';
export const lockJobSql = 'SELECT id FROM public.generation_jobs WHERE id = $1 FOR UPDATE';

const idRow = z.strictObject({ id: z.string() });

const columns = {
  status: 'status',
  progressPercentage: 'progress_percentage',
  externalJobId: 'external_job_id',
  errorMessage: 'error_message',
  startedAt: 'started_at',
  completedAt: 'completed_at',
  durationSeconds: 'actual_duration_seconds',
} as const;

const output = {
  durationSeconds: 'duration_seconds',
  fileUrl: 'file_url',
  thumbnailUrl: 'thumbnail_url',
  fileSizeBytes: 'file_size_bytes',
} as const;

/** Jobs on generation_jobs, and their videos on media_files. */
export function normalizedGeneration(sql: Sql): GenerationRepository {
  return {
    getGenerationJob: (id) => sql.row(generationJob, jobSql, [id]),
    getProjectJobs: (projectId) => sql.rows(generationJob, projectJobsSql, [projectId]),

    createGenerationJob: async ({ id, projectId, generationService, externalJobId, aiPrompt }) =>
      (await sql.run(insertJobSql, [id, projectId, generationService, externalJobId, aiPrompt])) > 0,

    updateGenerationJob: (id, changes) =>
      sql.transaction(async (tx) => {
        const changed = [id, columnsOf(changes, columns), columnsOf(changes, output)];
        if ((await tx.run(updateJobSql, changed)) === 0) return false;
        if ((await tx.run(writeOutputSql, [id])) > 0) await tx.run(linkOutputSql, [id]);
        else if ((await tx.run(unlinkOutputSql, [id])) > 0) await tx.run(deleteOutputSql, [id]);
        return true;
      }),

    deleteGenerationJob: (id) =>
      sql.transaction(async (tx) => {
        if (!(await tx.row(idRow, lockJobSql, [id]))) return false;
        await tx.run(deleteJobFileSql, [id]);
        await tx.run(deleteJobSql, [id]);
        return true;
      }),
  };
}
