import type pg from 'pg';
import type { ClientBase } from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import { LockstepError } from '../errors.ts';
import type { Failpoints } from '../failpoint.ts';
import { switchLock } from '../locks.ts';
import type { Migration } from '../migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../migration/load.ts';
import { armable } from '../phases/arm.ts';
import { changePhase } from '../phases/change.ts';
import type { Refusal } from '../phases/findings.ts';
import { refusalOf } from '../phases/transitions.ts';
import { readPhase } from '../status/phase.ts';
import { readQuarantineGroups } from '../status/queries.ts';
import type { StepFile } from '../steps/folder.ts';
import { defaultLockLimits, withLockRetries } from '../steps/lock-wait.ts';
import { allSteps } from '../steps/migrate.ts';
import { runSteps, withStepsLock } from '../steps/run.ts';
import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';
import type { ValidationReport } from '../validate/report.ts';
import { validate } from '../validate/validate.ts';
import { passBarrier } from '../wait/barrier.ts';
import { completionRefusals } from './refusals.ts';
import { type Leftover, retireStreams } from './retire.ts';

export interface CompleteOptions {
  /** A connection of its own, of the owner of the tables; its session settings are changed. */
  readonly client: ClientBase;
  /** At least 3 connections, for the final validation. */
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** Where the migration's numbered SQL is. */
  readonly folder: string;
  readonly telemetry: Telemetry;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly failpoints?: Failpoints;
  /** How long what has been committed may take to be applied. Default 60,000. */
  readonly barrierTimeoutMs?: number;
  /** How long listeners may take to let go of their slots. Default 15,000. */
  readonly slotPatienceMs?: number;
  /** Called when a part begins. */
  readonly onPart?: (part: string) => void;
}

export type CompleteOutcome =
  /** Nothing has changed but for the backup and the indexes, which a later try makes anew. */
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[]; readonly report: ValidationReport | null }
  /** `leftovers`: what is still to be dropped; call again. */
  | { readonly outcome: 'complete'; readonly steps: readonly string[]; readonly leftovers: readonly Leftover[] };

/**
 * Ends the migration: backup, optimization, final validation, the change of the phase, the drop of the legacy tables, and of
 * slots and publications. What may fail comes before what cannot be undone. It may be killed anywhere, and called again: it
 * goes on where it was. Up to the change of the phase, legacy is kept in step, and a later call takes the backup anew.
 *
 * @throws LockstepError LS_PHASE_REFUSED while legacy is the truth, LS_NO_WAY_BACK, LS_NOT_MIGRATED, LS_COMPLETION_BUSY; what
 * `runSteps`, `loadDirection` and `validate` throw.
 */
export async function complete(options: CompleteOptions): Promise<CompleteOutcome> {
  const { client, telemetry } = options;
  const migration = armable(options.migration);
  const phase = await readPhase(client);
  if (phase === 'forward') throw new LockstepError('LS_PHASE_REFUSED', refusalOf('forward', 'completion'));
  const files = await allSteps(migration, options.folder);
  return withStepsLock(client, telemetry, () =>
    withTurn(client, async () => {
      const steps: string[] = [];
      if (phase === 'reverse') {
        const loaded = await loadDirection(client, 'reverse', migration.reverse);
        const refused = await prepare(options, loaded, files, steps);
        if (refused) return refused;
        const late = await changeToComplete(options);
        if (late.length > 0) return { outcome: 'refused', refusals: late, report: null };
        await pointsOf(options)('complete.phase-changed');
      }
      options.onPart?.('dropping the legacy tables');
      const dropped = await runSteps({ client, files, phase: 'complete', legacy: false, telemetry });
      steps.push(...dropped.map(({ name }) => name));
      await pointsOf(options)('complete.dropped');
      options.onPart?.('dropping slots and publications');
      const leftovers = await retireStreams(client, options.clock ?? systemClock, options.slotPatienceMs ?? 15_000);
      return { outcome: 'complete', steps, leftovers };
    }),
  );
}

function pointsOf({ failpoints }: CompleteOptions): Failpoints {
  return failpoints ?? (() => {});
}

/** Only one cutover, rollback or completion at a time. */
async function withTurn<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  const [turn] = await textRows<{ taken: string }>(client, 'SELECT pg_try_advisory_lock($1) AS taken', [switchLock()]);
  if (turn?.taken !== 't') {
    throw new LockstepError('LS_COMPLETION_BUSY', 'A cutover or rollback of this database is under way.');
  }
  try {
    return await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [switchLock()]);
  }
}

/** Backup, optimization, final validation; the reasons when it must not go on. */
async function prepare(
  options: CompleteOptions,
  loaded: LoadedDirection,
  files: readonly StepFile[],
  steps: string[],
): Promise<CompleteOutcome | undefined> {
  const { client, telemetry, pool } = options;
  options.onPart?.('asking whether anything is in the way');
  const before = completionRefusals(await readFacts(options));
  if (before.length > 0) return { outcome: 'refused', refusals: before, report: null };
  await forgetCompletionSteps(client, files);
  options.onPart?.('taking the backup, and optimizing');
  const prepared = await runSteps({ client, files, phase: 'completion', legacy: false, telemetry });
  steps.push(...prepared.map(({ name }) => name));
  await pointsOf(options)('complete.prepared');
  options.onPart?.('comparing every row');
  const report = await validate({
    pool,
    loaded,
    telemetry,
    barrierTimeoutMs: options.barrierTimeoutMs ?? 60_000,
    ...(options.signal && { signal: options.signal }),
    ...(options.clock && { clock: options.clock }),
  });
  await pointsOf(options)('complete.validated');
  const refusals = completionRefusals({ ...(await readFacts(options)), report });
  return refusals.length > 0 ? { outcome: 'refused', refusals, report } : undefined;
}

const unfinishedSql = `
  SELECT count(*)::text AS count FROM lockstep.backfill WHERE direction = 'reverse' AND finished_at IS NULL`;

async function readFacts({ pool, clock, signal, barrierTimeoutMs = 60_000 }: CompleteOptions) {
  const [unfinished] = await textRows<{ count: string }>(pool, unfinishedSql);
  const barrier = await passBarrier({
    db: pool,
    direction: 'reverse',
    timeoutMs: barrierTimeoutMs,
    ...(clock && { clock }),
    ...(signal && { signal }),
  });
  return {
    // Asked last: what the barrier waited for may have been refused.
    quarantine: await readQuarantineGroups(pool, 'reverse'),
    applied: barrier.applied,
    waitedMs: barrier.waitedMs,
    unfinishedBackfills: Number(unfinished?.count ?? 0),
  };
}

/**
 * A try that did not come to its end has left a backup of its own moment: the next one takes it anew. A step outside of
 * transactions that has stopped half-way goes on instead.
 */
async function forgetCompletionSteps(client: ClientBase, files: readonly StepFile[]): Promise<void> {
  const names = files.filter(({ phase }) => phase === 'completion').map(({ name }) => name);
  await client.query('DELETE FROM lockstep.step WHERE name = ANY ($1) AND applied_at IS NOT NULL', [names]);
}

/** @returns why not, if anything was refused by legacy since that was last asked; then nothing has changed. */
async function changeToComplete({ client, telemetry }: CompleteOptions): Promise<Refusal[]> {
  const attempt = async (): Promise<Refusal[]> => {
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL lock_timeout = ${defaultLockLimits.lockTimeoutMs}`);
      await changePhase(client, 'completion');
      // Under the fence no merge runs. The drop refuses while there is any, and nothing could mend it once it is complete.
      const quarantine = await readQuarantineGroups(client, 'reverse', true);
      if (quarantine.length > 0) {
        await client.query('ROLLBACK');
        return completionRefusals({ quarantine, applied: true, waitedMs: 0, unfinishedBackfills: 0 });
      }
      // Witnesses: there is no direction left to change. Legacy stays guarded until it is dropped.
      await client.query("SELECT lockstep.set_triggers('complete', true)");
      await client.query('COMMIT');
      return [];
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  };
  return withLockRetries(defaultLockLimits, attempt, () => telemetry.log('info', 'completion waits for a lock'));
}
