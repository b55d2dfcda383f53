import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Key } from '../legacy/keys.ts';

/** A position in the WAL as a number. `1/28` is above `0/FFFFFFF8`, which text does not show. */
export function parsePosition(text: string): bigint {
  const [high = '', low = ''] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** From whose changes on: legacy's, until the cutover; then the normalized tables'. */
export type Direction = 'forward' | 'reverse';

/**
 * Everything that committed up to the slot's confirmed position has been applied, unless it is in flight. Two statements in
 * this order: what is not in the ledger after the position was seen has been finished. In one text they are one round
 * trip, and under READ COMMITTED the second one's snapshot is younger all the same.
 */
export const appliedSql = (direction: Direction): string => `
  SELECT s.confirmed_flush_lsn::text AS lsn FROM lockstep.stream t
  JOIN pg_catalog.pg_replication_slots s ON s.slot_name = t.slot_name
  WHERE t.direction = '${direction}' AND s.wal_status IS DISTINCT FROM 'lost' AND s.confirmed_flush_lsn IS NOT NULL;
  SELECT commit_lsn::text AS lsn FROM lockstep.in_flight WHERE direction = '${direction}' ORDER BY commit_lsn LIMIT 1`;

/** The highest position up to which everything is applied; undefined when nobody captures changes. */
export async function readApplied(pool: pg.Pool, direction: Direction): Promise<bigint | undefined> {
  const results = (await pool.query(appliedSql(direction))) as unknown as pg.QueryResult<{ lsn: string }>[];
  const confirmed = results[0]?.rows[0]?.lsn;
  const oldest = results[1]?.rows[0]?.lsn;
  if (confirmed === undefined) return undefined;
  if (oldest === undefined) return parsePosition(confirmed);
  const before = parsePosition(oldest) - 1n;
  return before < parsePosition(confirmed) ? before : parsePosition(confirmed);
}

/** Of this process's writes to legacy: where each key was last written. */
export interface Positions {
  remember(keys: Iterable<Key>, committedLsn: string): void;
  /** Whether the normalized tables have what was written of these keys; waits for it, but not for ever. */
  caughtUp(keys: readonly Key[], withinMs: number): Promise<boolean>;
}

const firstPollMs = 2;
const longestPollMs = 25;

/** @param most how many keys are remembered one by one. */
export function createPositions(read: () => Promise<bigint | undefined>, clock: Clock, most = 50_000): Positions {
  const written = new Map<Key, bigint>();
  let applied = 0n;
  /** Keys that were dropped to save memory were written at or below this; all keys count as if they were. */
  let droppedUpTo = 0n;
  let asking: Promise<boolean> | undefined;

  /** False: nobody captures changes. Many who wait at once ask once. */
  const ask = () => {
    asking ??= read()
      .then((position) => {
        if (position !== undefined && position > applied) applied = position;
        // In the order of the writes, so mostly of their positions.
        for (const [key, lsn] of written) {
          if (lsn > applied) break;
          written.delete(key);
        }
        return position !== undefined;
      })
      .finally(() => {
        asking = undefined;
      });
    return asking;
  };

  return {
    remember(keys, committedLsn) {
      const lsn = parsePosition(committedLsn);
      for (const key of keys) {
        const before = written.get(key) ?? 0n;
        written.delete(key);
        written.set(key, lsn > before ? lsn : before);
      }
      for (const [key, position] of written) {
        if (written.size <= most) break;
        written.delete(key);
        if (position > droppedUpTo) droppedUpTo = position;
      }
    },
    async caughtUp(keys, withinMs) {
      const needed = keys.reduce((highest, key) => {
        const lsn = written.get(key) ?? 0n;
        return lsn > highest ? lsn : highest;
      }, droppedUpTo);
      const deadlineMs = clock.nowMs() + withinMs;
      for (let pollMs = firstPollMs; needed > applied; pollMs = Math.min(longestPollMs, pollMs * 2)) {
        if (!(await ask())) return false;
        if (needed <= applied) return true;
        const leftMs = deadlineMs - clock.nowMs();
        if (leftMs <= 0) return false;
        await clock.pauseMs(Math.min(pollMs, leftMs));
      }
      return true;
    },
  };
}
