import { readdir, readFile } from 'node:fs/promises';
import type pg from 'pg';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { ensureStepTable } from '../../engine/steps/record.ts';
import { migration } from '../../sql/migration.ts';
import type { DatabaseTemplate } from './database.ts';

/** Runs the numbered SQL files of a folder whose names match, in order. */
export async function runSqlFiles(pool: pg.Pool, folder: URL, pattern: RegExp): Promise<void> {
  const files = (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  for (const file of files) await pool.query(await readFile(new URL(file, folder), 'utf8'));
}

/** The engine's schema, as `migrate` makes it, but for the record of its steps. */
export async function runEngineSchema(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  await ensureStepTable(client);
  client.release();
  await runSqlFiles(pool, new URL('../../engine/schema/', import.meta.url), /^\d{3}_.*\.sql$/);
}

/** The engine's schema, the legacy schema and the normalized one, all empty. */
export const photomemory: DatabaseTemplate = {
  name: 'photomemory',
  async build(pool) {
    await runEngineSchema(pool);
    await runSqlFiles(pool, new URL('../../sql/', import.meta.url), /^00[0-7]_.*\.sql$/);
  },
};

export function loadPhotomemory(pool: pg.Pool): Promise<LoadedDirection> {
  return loadDirection(pool, 'forward', migration.forward);
}
