import { setTimeout as delay } from 'node:timers/promises';
import { LockstepError } from '../../engine/errors.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import { raiseBarrier, waitUntilApplied } from '../../engine/wait/barrier.ts';
import { eventually } from '../support/eventually.ts';
import { redrive } from './faults.ts';
import type { Machine } from './machine.ts';

/** What waits for ever is found all the same; what a busy machine delays is not taken for it. */
export const healWithinMs = 240_000;

/** Waits until all that has committed is applied. @returns what is in the way, if it is not in time. */
export async function settle(machine: Machine): Promise<string | undefined> {
  const { pool } = machine;
  const deadline = Date.now() + healWithinMs;
  const { direction, lsn } = await eventually(
    async () => ({ direction: await activeDirection(pool), lsn: await raiseBarrier(pool) }),
    { timeoutMs: 30_000, intervalMs: 50 },
  );
  let last = '';
  while (Date.now() < deadline) {
    await redrive(machine);
    try {
      const { applied, captured } = await waitUntilApplied({ db: pool, direction, timeoutMs: 500 }, lsn);
      if (applied) return undefined;
      last = captured ? 'captured, and not applied' : 'not captured';
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      last = error.message;
      await delay(200);
    }
  }
  const { rows } = await pool.query(
    'SELECT direction, kind, shard, commit_lsn, sent_at FROM lockstep.in_flight ORDER BY seq LIMIT 5',
  );
  return `Not healed within ${healWithinMs} ms (${direction}: ${last}); in flight: ${JSON.stringify(rows)}`;
}
