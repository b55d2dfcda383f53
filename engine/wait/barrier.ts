import type pg from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import { LockstepError } from '../errors.ts';
import { isClearUpTo } from '../ledger/watermark.ts';
import { formatLsn, type Lsn, parseLsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';

type Queryable = Pick<pg.Pool, 'query'>;

export interface BarrierOptions {
  readonly db: Queryable;
  readonly direction: DirectionName;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface BarrierOutcome {
  /** Everything committed before this position is meant. */
  readonly lsn: string;
  readonly waitedMs: number;
  /** False: the time was up first. */
  readonly applied: boolean;
  /** Whether the listener has sent it all; if so, and it is not applied, messages are in flight. */
  readonly captured: boolean;
}

/**
 * A logical message in a transaction of its own: its commit makes the listener, which may have nothing else to read,
 * confirm a position beyond it at once.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
 */
const barrierSql = "SELECT pg_logical_emit_message(true, 'lockstep.barrier', '')::text AS lsn";
const capturedSql = `
  SELECT s.confirmed_flush_lsn::text AS confirmed, s.wal_status AS "walStatus", t.slot_name AS "slotName"
  FROM lockstep.stream t LEFT JOIN pg_replication_slots s ON s.slot_name = t.slot_name WHERE t.direction = $1`;

const firstPollMs = 2;
const longestPollMs = 50;

/** Writes a barrier into the WAL. Every transaction that committed before this call is below the position returned. */
export async function raiseBarrier(db: Queryable): Promise<Lsn> {
  const { rows } = await db.query<{ lsn: string }>(barrierSql);
  return parseLsn(rows[0]?.lsn ?? '');
}

/**
 * Whether everything up to `lsn` has been applied: captured, and nothing in flight at or below it.
 *
 * Two statements, in this order: an entry is in the ledger before the position moves beyond it, so what is not in the
 * ledger after the position was seen has been finished.
 *
 * @throws LockstepError LS_SLOT_MISSING or LS_SLOT_LOST when nothing will ever be captured through this slot.
 */
export async function isApplied(
  db: Queryable,
  direction: DirectionName,
  lsn: Lsn,
): Promise<{ captured: boolean; applied: boolean }> {
  const { rows } = await db.query<{ confirmed: string | null; walStatus: string | null; slotName: string }>(
    capturedSql,
    [direction],
  );
  const slot = rows[0];
  if (!slot)
    throw new LockstepError(
      'LS_SLOT_MISSING',
      `No listener has ever captured the ${direction} direction in this database.`,
    );
  if (slot.confirmed === null)
    throw new LockstepError('LS_SLOT_MISSING', `The replication slot "${slot.slotName}" does not exist (any more).`);
  if (slot.walStatus === 'lost') {
    throw new LockstepError(
      'LS_SLOT_LOST',
      `The replication slot "${slot.slotName}" is lost: WAL that it still needed has been removed (max_slot_wal_keep_size).`,
    );
  }
  if (parseLsn(slot.confirmed) < lsn) return { captured: false, applied: false };
  return { captured: true, applied: await isClearUpTo(db, direction, lsn) };
}

/** Waits until everything up to `lsn` is applied, or the time is up. */
export async function waitUntilApplied(options: BarrierOptions, lsn: Lsn): Promise<BarrierOutcome> {
  const clock = options.clock ?? systemClock;
  const startedMs = clock.nowMs();
  for (let pollMs = firstPollMs; ; pollMs = Math.min(longestPollMs, pollMs * 2)) {
    const { captured, applied } = await isApplied(options.db, options.direction, lsn);
    const waitedMs = clock.nowMs() - startedMs;
    if (applied || waitedMs >= options.timeoutMs || options.signal?.aborted) {
      return { lsn: formatLsn(lsn), waitedMs, applied, captured };
    }
    await clock.pauseMs(Math.min(pollMs, options.timeoutMs - waitedMs));
  }
}

/** Raises a barrier and waits for it: `lockstep wait`. */
export async function passBarrier(options: BarrierOptions): Promise<BarrierOutcome> {
  return waitUntilApplied(options, await raiseBarrier(options.db));
}
