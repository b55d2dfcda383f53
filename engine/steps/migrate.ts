import { fileURLToPath } from 'node:url';
import type { ClientBase } from 'pg';
import { ensurePublication } from '../capture/publication.ts';
import { flawInServer, readServer } from '../capture/server.ts';
import type { Migration } from '../migration/contract.ts';
import { readPhase } from '../status/phase.ts';
import type { Telemetry } from '../telemetry.ts';
import type { DueOptions } from './due.ts';
import { readSteps, type StepFile } from './folder.ts';
import type { LockLimits } from './lock-wait.ts';
import { runSteps, withStepsLock } from './run.ts';

export interface MigrateOptions extends Pick<DueOptions, 'legacy'> {
  /** A connection of its own, of the owner of the tables; its session settings are changed. */
  readonly client: ClientBase;
  readonly migration: Migration;
  /** Where the migration's numbered SQL is. */
  readonly folder: string;
  readonly telemetry: Telemetry;
  readonly limits?: LockLimits;
}

export interface MigrateResult {
  readonly applied: readonly StepFile[];
  /** `dropped`: the migration is complete, and nothing is captured any more. */
  readonly publication: 'created' | 'altered' | 'unchanged' | 'dropped';
}

/** Where the numbered SQL of the engine's own schema is. */
export const engineFolder = fileURLToPath(new URL('../schema', import.meta.url));

/**
 * Brings a database to where the migration wants it: the engine's schema, the numbered SQL that is due, and the
 * publication. Safe to run again, and side by side.
 * Throws what `readSteps`, `runSteps` and `ensurePublication` throw, and LS_SERVER_VERSION, LS_READ_REPLICA or
 * LS_WAL_LEVEL before anything is touched.
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { client, migration, folder } = options;
  const flaw = flawInServer(await readServer(client));
  if (flaw) throw flaw;
  const files = await allSteps(migration, folder);
  return await withStepsLock(client, options.telemetry, async () => {
    const complete = await isComplete(client);
    const applied = await runSteps({ ...options, files, phase: complete ? 'complete' : 'forward' });
    if (complete) return { applied, publication: 'dropped' };
    const publication = await ensurePublication(client, 'forward', migration.forward);
    return { applied, publication };
  });
}

/** The steps of the engine, then those of the migration. */
export async function allSteps(migration: Migration, folder: string): Promise<StepFile[]> {
  return [...(await readSteps('engine', engineFolder)), ...(await readSteps(migration.name, folder))];
}

async function isComplete(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ present: boolean }>(
    `SELECT to_regclass('lockstep.phase') IS NOT NULL AS present`,
  );
  return rows[0]?.present === true && (await readPhase(client)) === 'complete';
}
