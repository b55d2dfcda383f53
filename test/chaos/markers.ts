import { setTimeout as delay } from 'node:timers/promises';
import { LockstepError } from '../../engine/errors.ts';
import type { DirectionName } from '../../engine/migration/contract.ts';
import { sqlState } from '../../engine/sqlstate.ts';
import { isApplied, raiseBarrier } from '../../engine/wait/barrier.ts';
import type { Machine } from './machine.ts';
import { isOutage } from './workload.ts';

/**
 * Rows that nobody else writes to, at the very end of the ids: traffic that picks a row picks the first one after a
 * random id.
 */
const markers = [1, 2, 3, 4].map((n) => `ffffffff-ffff-ffff-ffff-fffffffffff${n}`);
export const privateEmail = 'private-address@marker.example';

/** How a marker is written on the side that is the truth, and what says that the other side does not show it. */
interface Side {
  readonly direction: DirectionName;
  readonly markSql: string;
  /** In one snapshot: the marker is still what was committed, and the other side does not show it. */
  readonly behindSql: string;
}

const again = 'ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at RETURNING updated_at::text AS stamp';
const behind = (truth: string, other: string) => `
  SELECT FROM ${truth} t WHERE t.id = $1 AND t.updated_at = $2::timestamptz
    AND NOT EXISTS (SELECT FROM ${other} o WHERE o.id = t.id AND o.updated_at = t.updated_at)`;
const legacy: Side = {
  direction: 'forward',
  markSql: `
    WITH owner AS (INSERT INTO users (id, email, subscription_plan, created_at, updated_at)
      VALUES ($1, '${privateEmail}', 'free', now(), now()) ON CONFLICT DO NOTHING)
    INSERT INTO media_items (id, user_id, original_filename, file_url, mime_type, file_size_bytes, updated_at)
    VALUES ($1, $1, 'm', 'm', 'image/png', 0, clock_timestamp()) ${again}`,
  behindSql: behind('media_items', 'media_files'),
};
const normalized: Side = {
  direction: 'reverse',
  markSql: `
    INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes, folder_path, updated_at)
    SELECT id, id, 'm', 'legacy/media/' || id, 'm', 'image', 'image/png', 0, '/library', clock_timestamp() FROM users WHERE id = $1 ${again}`,
  behindSql: behind('media_files', 'media_items'),
};

export interface Markers {
  /** Returns how many commits were watched until the watermark passed them. */
  stop(): Promise<number>;
  /** When it was ahead of the truth. */
  violation(): string | undefined;
}

const everyMs = 60;
/** Asking takes from the processors that the appliers need. */
const pollMs = 25;

/**
 * Watches the watermark while everything breaks: commits a marker, and when `lockstep wait` would say that all which
 * committed before is applied, the marker must be in the target.
 */
export function watchWatermark({ pool }: Machine): Markers {
  let stopped = false;
  let watched = 0;
  const violations: string[] = [];
  let side = legacy;
  const look = async (id: string): Promise<void> => {
    const { direction, markSql, behindSql } = side;
    const { rows } = await pool.query<{ stamp: string }>(markSql, [id]);
    const stamp = rows[0]?.stamp;
    if (stamp === undefined) return;
    const lsn = await raiseBarrier(pool);
    while (!(await saysApplied(pool, direction, lsn))) {
      if (stopped) return;
      await delay(pollMs);
    }
    const { rowCount } = await pool.query(behindSql, [id, stamp]);
    watched += 1;
    if (rowCount !== 0) violations.push(`${id} as of ${stamp} (${direction}), barrier ${lsn.toString(16)}`);
  };
  const watch = async (id: string) => {
    while (!stopped) {
      await delay(everyMs);
      const { direction } = side;
      try {
        await look(id);
      } catch (error) {
        // A write guard: the other side is the truth now.
        if (sqlState(error) === 'LS001') side = direction === 'forward' ? normalized : legacy;
        else if (!isOutage(error)) throw error;
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
async function saysApplied(pool: Machine['pool'], direction: DirectionName, lsn: bigint): Promise<boolean> {
  try {
    return (await isApplied(pool, direction, lsn)).applied;
  } catch (error) {
    if (error instanceof LockstepError && ['LS_SLOT_LOST', 'LS_SLOT_MISSING'].includes(error.code)) return false;
    throw error;
  }
}
