import { setTimeout as delay } from 'node:timers/promises';
import { LockstepError } from '../../engine/errors.ts';
import { isApplied, raiseBarrier } from '../../engine/wait/barrier.ts';
import type { Machine } from './machine.ts';
import { isOutage } from './workload.ts';

/**
 * Rows that nobody else writes to, at the very end of the ids: traffic that picks a row picks the first one after a
 * random id.
 */
const markers = [1, 2, 3, 4].map((n) => `ffffffff-ffff-ffff-ffff-fffffffffff${n}`);
export const privateEmail = 'private-address@marker.example';

const markSql = `
  INSERT INTO users (id, email, subscription_plan, created_at, updated_at) VALUES ($1, '${privateEmail}', 'free', now(), clock_timestamp())
  ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at RETURNING updated_at::text AS stamp`;
// In one snapshot: the marker is still what was committed, and the target does not show it.
const behindSql = `
  SELECT u.id FROM users u WHERE u.id = $1 AND u.updated_at = $2::timestamptz
    AND NOT EXISTS (SELECT FROM user_subscriptions s WHERE s.user_id = u.id AND s.updated_at = u.updated_at)`;

export interface Markers {
  /** Returns how many commits were watched until the watermark passed them. */
  stop(): Promise<number>;
  /** When it was ahead of the truth. */
  violation(): string | undefined;
}

const everyMs = 60;

/**
 * Watches the watermark while everything breaks: commits a marker, and when `lockstep wait` would say that all which
 * committed before is applied, the marker must be in the target.
 */
export function watchWatermark({ pool }: Machine): Markers {
  let stopped = false;
  let watched = 0;
  const violations: string[] = [];
  const watch = async (id: string) => {
    while (!stopped) {
      await delay(everyMs);
      try {
        const { rows } = await pool.query<{ stamp: string }>(markSql, [id]);
        const stamp = rows[0]?.stamp ?? '';
        const lsn = await raiseBarrier(pool);
        while (!(await saysApplied(pool, lsn))) {
          if (stopped) return;
          await delay(5);
        }
        const behind = await pool.query(behindSql, [id, stamp]);
        watched += 1;
        if (behind.rowCount !== 0) violations.push(`${id} as of ${stamp}, barrier ${lsn.toString(16)}`);
      } catch (error) {
        if (!isOutage(error)) throw error;
      }
    }
  };
  const watching = Promise.all(markers.map(watch));
  // Reported by stop().
  watching.catch(() => undefined);
  return {
    async stop() {
      stopped = true;
      await watching;
      return watched;
    },
    violation: () =>
      violations.length > 0
        ? `The watermark was ahead of the truth: ${violations.join('; ')} was not in the target.`
        : undefined,
  };
}

/** A slot that is gone or lost says that nothing is known. */
async function saysApplied(pool: Machine['pool'], lsn: bigint): Promise<boolean> {
  try {
    return (await isApplied(pool, 'forward', lsn)).applied;
  } catch (error) {
    if (error instanceof LockstepError && ['LS_SLOT_LOST', 'LS_SLOT_MISSING'].includes(error.code)) return false;
    throw error;
  }
}
