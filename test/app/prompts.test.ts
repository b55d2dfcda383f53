import type pg from 'pg';
import { expect, test } from 'vitest';
import { legacyRepositories } from '../../app/legacy/repositories.ts';
import { normalizedRepositories } from '../../app/normalized/repositories.ts';
import { sqlOnPool } from '../../app/sql.ts';
import { addUsers, derive, id, rows } from '../sql/world.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';

const job = id('video', 1);
const created = {
  id: job,
  projectId: id('project', 1),
  generationService: 'luma',
  aiPrompt: 'the sea',
};
const file = { status: 'completed', fileUrl: 'https://cdn.example/v.mp4', fileSizeBytes: 9 } as const;
const noFile = { status: 'processing', fileUrl: null } as const;

async function world() {
  const database = await testDatabase({ template: photomemory });
  await addUsers(database.pool, 1);
  const sql = sqlOnPool(database.pool);
  return {
    pool: database.pool,
    legacy: legacyRepositories(sql).generation,
    normalized: normalizedRepositories(sql).generation,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/** What legacy would hold after a rollback now. */
const wayBack = async (pool: pg.Pool) =>
  (await rows<{ ai_prompt: string }>(pool, 'SELECT ai_prompt FROM lockstep_reverse.generated_videos'))[0]?.ai_prompt;
const losses = (pool: pg.Pool) => rows(pool, 'SELECT column_name FROM lockstep_reverse.losses');

test('a job that was made after the cutover has its prompt in legacy after a rollback, with and without a file', async () => {
  await using db = await world();
  await db.normalized.createGenerationJob(created);
  expect(await wayBack(db.pool)).toBe('the sea');
  expect(await losses(db.pool)).not.toContainEqual({ column_name: 'output_metadata' });
  await db.normalized.updateGenerationJob(job, file);
  expect(await wayBack(db.pool)).toBe('the sea');
  await db.normalized.updateGenerationJob(job, noFile);
  expect(await wayBack(db.pool)).toBe('the sea');
});

test('a video that was begun before the cutover and finished after it has its prompt on both sides', async () => {
  await using db = await world();
  await db.legacy.createGenerationJob(created);
  await derive(db.pool, 'generation_jobs');
  await db.normalized.updateGenerationJob(job, file);
  expect(await rows(db.pool, "SELECT metadata ->> 'ai_prompt' AS prompt FROM media_files")).toEqual([
    { prompt: 'the sea' },
  ]);
  expect(await wayBack(db.pool)).toBe('the sea');
});

test('the prompt is no part of what is answered of the output, on either side', async () => {
  await using db = await world();
  await db.legacy.createGenerationJob(created);
  await derive(db.pool, 'generation_jobs');
  const [legacy, normalized] = [await db.legacy.getGenerationJob(job), await db.normalized.getGenerationJob(job)];
  expect(normalized).toEqual(legacy);
  expect(normalized?.outputMetadata).not.toHaveProperty('ai_prompt');
});
