import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { enterBackfill, unfinishedBackfills } from '../backfill/record.ts';
import { runBackfill } from '../backfill/run.ts';
import { withConnection } from '../connection.ts';
import { LockstepError } from '../errors.ts';
import type { Migration } from '../migration/contract.ts';
import { loadDirection } from '../migration/load.ts';
import { readPhase } from '../status/phase.ts';
import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';
import { passBarrier } from '../wait/barrier.ts';
import { armable } from './arm.ts';
import { refusalOf } from './transitions.ts';

export interface SyncOptions {
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** Derive every legacy row again, not only those that have changed. */
  readonly everything?: boolean;
  /** Epoch. What is not done by then is left to another call. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly telemetry: Telemetry;
  readonly onProgress?: () => Promise<void> | void;
}

export interface SyncOutcome {
  /**
   * `synced`: legacy holds what had been committed when this was called. `continue`: the time was up; call again.
   * `paused`: someone has paused the run. `fenced`: the direction has changed meanwhile.
   */
  readonly outcome: 'synced' | 'continue' | 'paused' | 'fenced';
  /** The re-derivation that this call has gone on with, if any. */
  readonly run: string | null;
  /** Everything committed before this position is meant. */
  readonly lsn: string | null;
}

const reason = 'rollback sync';

/** A run that has ended, since the direction turned, without anybody having been told that all of it has arrived. */
const untoldSql = `
  SELECT b.id FROM lockstep.backfill b, lockstep.phase p
  WHERE b.direction = 'reverse' AND b.reason = $1 AND b.finished_at > p.changed_at AND b.told_at IS NULL
  ORDER BY b.finished_at DESC LIMIT 1`;
const toldSql = `
  UPDATE lockstep.backfill SET told_at = clock_timestamp()
  WHERE direction = 'reverse' AND finished_at IS NOT NULL AND told_at IS NULL`;

/**
 * Brings the legacy tables up to date: derives all of them again if asked to (or goes on with that), then waits until
 * everything that has been committed is applied. It may be called again at any time, and killed at any moment.
 *
 * @throws LockstepError LS_PHASE_REFUSED while legacy is the truth itself; LS_NO_WAY_BACK, LS_SLOT_MISSING, LS_SLOT_LOST.
 */
export async function syncBack(options: SyncOptions): Promise<SyncOutcome> {
  const { pool, telemetry, deadlineMs, signal } = options;
  const { reverse } = armable(options.migration);
  const phase = await readPhase(pool);
  if (phase !== 'reverse') throw new LockstepError('LS_PHASE_REFUSED', refusalOf(phase, 'rollback'));
  const loaded = await loadDirection(pool, 'reverse', reverse);
  let [run] = await unfinishedBackfills(pool, 'reverse');
  // Asked for again because what has been committed since had not arrived, it is not derived once more.
  if (run === undefined && options.everything) run = (await textRows<{ id: string }>(pool, untoldSql, [reason]))[0]?.id;
  if (run === undefined && options.everything) {
    const id = randomUUID();
    await withConnection(pool, async (client) => {
      await client.query('BEGIN');
      const targets = loaded.targets.map(({ name }) => name);
      await enterBackfill(client, loaded, { id, direction: 'reverse', reason, targets });
      await client.query('COMMIT');
    });
    run = id;
  }
  if (run !== undefined) {
    const common = { pool, loaded, telemetry, deadlineMs, runId: run };
    const { onProgress } = options;
    const ended = await runBackfill({ ...common, ...(signal && { signal }), ...(onProgress && { onProgress }) });
    if (ended === 'out of time') return { outcome: 'continue', run, lsn: null };
    if (ended !== 'finished') return { outcome: ended, run, lsn: null };
  }
  const timeoutMs = Math.max(0, deadlineMs - Date.now());
  const barrier = await passBarrier({ db: pool, direction: 'reverse', timeoutMs, ...(signal && { signal }) });
  if (barrier.applied) await pool.query(toldSql);
  return { outcome: barrier.applied ? 'synced' : 'continue', run: run ?? null, lsn: barrier.lsn };
}
