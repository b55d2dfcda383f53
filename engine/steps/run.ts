import { setTimeout as delay } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { LockstepError } from '../errors.ts';
import { stepsLock } from '../locks.ts';
import type { Telemetry } from '../telemetry.ts';
import { applyStep } from './apply.ts';
import { type DueOptions, dueSteps } from './due.ts';
import type { StepFile } from './folder.ts';
import { defaultLockLimits, type LockLimits } from './lock-wait.ts';
import { ensureStepTable, readRecords } from './record.ts';

export interface StepsRun extends DueOptions {
  /** A connection of its own; its session settings are changed. */
  readonly client: ClientBase;
  /** Those of the engine first, then those of the migration. */
  readonly files: readonly StepFile[];
  readonly telemetry: Telemetry;
  readonly limits?: LockLimits;
}

/**
 * Runs `work` while no other runner of this database does: the second one waits. Asks again and again instead of waiting
 * inside the server: a waiting statement keeps a snapshot, and the CREATE INDEX CONCURRENTLY of the runner that holds
 * the lock would wait for it for ever.
 */
export async function withStepsLock<T>(client: ClientBase, telemetry: Telemetry, work: () => Promise<T>): Promise<T> {
  for (let tries = 0; !(await tryLock(client)); tries += 1) {
    if (tries === 0) telemetry.log('info', 'another run of the steps is under way: waiting for it');
    await delay(200);
  }
  try {
    return await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [stepsLock()]);
  }
}

async function tryLock(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [stepsLock()]);
  return rows[0]?.taken === true;
}

/**
 * Applies the steps that are due and returns them. To be called within `withStepsLock`.
 * Throws what `dueSteps` and `applyStep` throw, and LS_STEP_MIGRATION when the database belongs to another migration.
 */
export async function runSteps({ client, files, phase, legacy, telemetry, limits }: StepsRun): Promise<StepFile[]> {
  await ensureStepTable(client);
  const records = await readRecords(client);
  const owners = [...new Set(files.map(({ owner }) => owner))];
  assertOwners(owners, records);
  const due = owners.flatMap((owner) =>
    dueSteps(
      files.filter((file) => file.owner === owner),
      records.filter((record) => record.owner === owner),
      { phase, legacy },
    ),
  );
  for (const step of due) {
    const begun = records.find(({ owner, name }) => owner === step.owner && name === step.name);
    await applyStep({ client, limits: limits ?? defaultLockLimits, telemetry }, step, begun);
  }
  return due;
}

function assertOwners(owners: readonly string[], records: readonly { owner: string }[]): void {
  const stranger = records.find(({ owner }) => !owners.includes(owner));
  if (!stranger) return;
  throw new LockstepError(
    'LS_STEP_MIGRATION',
    `This database carries the migration "${stranger.owner}", and "${owners.at(-1)}" was asked for.`,
  );
}
