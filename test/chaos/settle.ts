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
  return `Not healed within ${healWithinMs} ms (${direction}: ${last}). ${await unfinished(machine)}`;
}

/** What has not ended: the oldest messages, and the backfills. */
export async function unfinished({ pool }: Machine): Promise<string> {
  const { rows: messages } = await pool.query(
    'SELECT id, direction, kind, shard, seq, commit_lsn, sent_at FROM lockstep.in_flight ORDER BY seq LIMIT 5',
  );
  const { rows: backfills } = await pool.query(
    `SELECT b.id, b.direction, b.reason, b.requested_at, b.paused, b.forgets_up_to_seq,
            EXISTS (SELECT FROM lockstep.in_flight f WHERE f.id = b.id) AS in_flight,
            (SELECT json_agg(to_json(t)) FROM lockstep.backfill_target t WHERE t.backfill_id = b.id) AS targets
     FROM lockstep.backfill b WHERE b.finished_at IS NULL`,
  );
  return `In flight: ${JSON.stringify(messages)}; backfills: ${JSON.stringify(backfills)}`;
}
