import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase } from 'pg';
import pg from 'pg';
import { enterBackfill } from '../backfill/record.ts';
import { type BackfillOutcome, runBackfill } from '../backfill/run.ts';
import { ensurePublication } from '../capture/publication.ts';
import { LockstepError } from '../errors.ts';
import type { Failpoints } from '../failpoint.ts';
import type { Migration } from '../migration/contract.ts';
import { loadDirection } from '../migration/load.ts';
import { type ArmableMigration, arm, armable } from '../phases/arm.ts';
import { changePhase } from '../phases/change.ts';
import { type Loss, readLosses } from '../phases/lossiness.ts';
import { refusalOf } from '../phases/transitions.ts';
import { readPhase } from '../status/phase.ts';
import { defaultLockLimits, isLockFailure, withLockRetries } from '../steps/lock-wait.ts';
import { allSteps } from '../steps/migrate.ts';
import { withStepsLock } from '../steps/run.ts';
import { parseScript } from '../steps/script.ts';
import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';

export interface RestoreOptions {
  /** A connection of its own, of the owner of the tables; its session settings are changed. */
  readonly client: ClientBase;
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** Where the migration's rollback_to_legacy.sql is. */
  readonly folder: string;
  readonly telemetry: Telemetry;
  readonly signal?: AbortSignal;
  readonly failpoints?: Failpoints;
  readonly onPart?: (part: string) => void;
}

export interface RestoreResult {
  /** Whether the tables came from the backup; false: they had not been dropped yet. */
  readonly fromBackup: boolean;
  /** When the backup was taken (UTC, ISO 8601). */
  readonly backupAt: string | null;
  /** Whether everything since the backup has been derived from the normalized tables. */
  readonly derived: BackfillOutcome;
  /** Rows that this has written, by table. */
  readonly rowsDerived: Readonly<Record<string, number>>;
  /** What the legacy schema has no place for: it is in the normalized tables only. */
  readonly losses: readonly Loss[];
}

const rollbackFile = 'rollback_to_legacy.sql';

/**
 * Gives the legacy tables back. In one transaction: tables, rows and everything else about them from the backup, and the
 * phase `reverse`. Then, from the normalized tables, what has happened since the backup. The normalized tables stay the
 * truth; once a listener runs again, `lockstep rollback` leads on from there.
 *
 * Killed before the commit, nothing has happened; after it, a call finds the phase changed, and `arm`, `listen` and
 * `backfill` do the rest.
 *
 * @throws LockstepError LS_PHASE_REFUSED unless the migration is complete, LS_RESTORE_FAILED when a statement of the
 * rollback fails, LS_NO_WAY_BACK, LS_CONFIG without rollback_to_legacy.sql.
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { client, telemetry } = options;
  const failpoints: Failpoints = options.failpoints ?? (() => {});
  const migration = armable(options.migration);
  const phase = await readPhase(client);
  if (phase !== 'complete') throw new LockstepError('LS_PHASE_REFUSED', refusalOf(phase, 'restoration'));
  const files = await allSteps(migration, options.folder);
  const script = await readRollback(options.folder);
  const names = (wanted: string) => files.filter((file) => file.phase === wanted).map(({ name }) => name);
  return withStepsLock(client, telemetry, async () => {
    const backupAt = await lastApplied(client, names('completion'));
    // Killed between the change of the phase and the drop, a completion has left the tables where they were.
    const fromBackup = (await lastApplied(client, names('complete'))) !== null;
    options.onPart?.('restoring the legacy tables');
    const attempt = () =>
      inTransaction(client, async () => {
        if (fromBackup) await runScript(client, script);
        await client.query('DELETE FROM lockstep.step WHERE name = ANY ($1)', [names('complete')]);
        await changePhase(client, 'restoration');
        await failpoints('restore.before-commit');
      });
    await withLockRetries(defaultLockLimits, attempt, () => telemetry.log('info', 'restore waits for a lock'));
    await failpoints('restore.committed');
    options.onPart?.('arming');
    await ensurePublication(client, 'forward', migration.forward);
    await arm({ client, migration, telemetry });
    return { fromBackup, backupAt, ...(await deriveSince(options, migration)) };
  });
}

interface Script {
  readonly path: string;
  readonly statements: readonly { readonly text: string; readonly line: number }[];
}

async function readRollback(folder: string): Promise<Script> {
  const path = join(folder, rollbackFile);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new LockstepError('LS_CONFIG', `The migration folder has no readable ${rollbackFile}.`, { cause });
  });
  return { path, statements: (await parseScript(path, text)).statements };
}

async function runScript(client: ClientBase, { path, statements }: Script): Promise<void> {
  for (const { text, line } of statements) {
    try {
      await client.query(text);
    } catch (error) {
      if (isLockFailure(error) || !(error instanceof pg.DatabaseError)) throw error;
      throw new LockstepError('LS_RESTORE_FAILED', `${path} line ${line}: ${error.message} (SQLSTATE ${error.code}).`, {
        cause: error,
      });
    }
  }
}

async function inTransaction(client: ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${defaultLockLimits.lockTimeoutMs}`);
    await work();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

async function lastApplied(client: ClientBase, names: readonly string[]): Promise<string | null> {
  const [row] = await textRows<{ at: string | null }>(
    client,
    `SELECT to_json(min(applied_at) AT TIME ZONE 'UTC') #>> '{}' AS at FROM lockstep.step
     WHERE name = ANY ($1) AND applied_at IS NOT NULL`,
    [names],
  );
  return row?.at == null ? null : `${row.at}Z`;
}

const writtenSql =
  'SELECT target, rows_written::text AS rows FROM lockstep.backfill_target WHERE backfill_id = $1 ORDER BY ordinal';

async function deriveSince(options: RestoreOptions, migration: ArmableMigration) {
  const { pool, telemetry } = options;
  options.onPart?.('deriving what has happened since the backup');
  const loaded = await loadDirection(pool, 'reverse', migration.reverse);
  const runId = randomUUID();
  const targets = loaded.targets.map(({ name }) => name);
  await enterBackfill(pool, loaded, { id: runId, direction: 'reverse', reason: 'restored from backup', targets });
  const derived = await runBackfill({
    pool,
    loaded,
    runId,
    telemetry,
    deadlineMs: Number.POSITIVE_INFINITY,
    ...(options.signal && { signal: options.signal }),
  });
  const written = await textRows<{ target: string; rows: string }>(pool, writtenSql, [runId]);
  const { losses: statement } = migration.reverse;
  const losses = statement === undefined ? [] : await readLosses(pool, statement);
  const rowsDerived = Object.fromEntries(written.map(({ target, rows }) => [target, Number(rows)]));
  return { derived, rowsDerived, losses };
}
