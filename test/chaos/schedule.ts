import { setTimeout as delay } from 'node:timers/promises';
import { LockstepError } from '../../engine/errors.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { raiseBarrier, waitUntilApplied } from '../../engine/wait/barrier.ts';
import { oracleDifferences } from '../oracle/oracle.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { acts, endFaults, redrive } from './faults.ts';
import type { Machine } from './machine.ts';
import { watchWatermark } from './markers.ts';
import type { Fault, Schedule } from './plan.ts';
import { isOutage, startWorkload } from './workload.ts';

export interface Outcome {
  readonly schedule: Schedule;
  /** Undefined: equal, nothing lost, nothing invented, the watermark never ahead. */
  readonly failure: string | undefined;
  /** Transactions of the legacy application that committed. */
  readonly committed: number;
  /** Commits that the watermark was watched to pass. */
  readonly watched: number;
  /** From the end of the faults until everything was applied. */
  readonly healedMs: number;
  /** Faults that could not be done, because another one had taken what they need. */
  readonly missed: readonly Fault[];
}

const healWithinMs = 90_000;

/** Runs one schedule on a machine that is well, lets it heal, and asks the oracle. */
export async function runSchedule(machine: Machine, schedule: Schedule): Promise<Outcome> {
  const { durationMs, faults, seed } = schedule;
  const missed: Fault[] = [];
  const workload = startWorkload(machine, seed);
  const markers = watchWatermark(machine);
  let failure: string | undefined;
  let committed = 0;
  let watched = 0;
  let healedMs = 0;
  try {
    await Promise.all([delay(durationMs), ...faults.map((fault) => befall(machine, fault, missed))]);
    await endFaults(machine);
    committed = await workload.stop();
    const endedMs = Date.now();
    failure = await settle(machine);
    healedMs = Date.now() - endedMs;
  } finally {
    await workload.stop();
    watched = await markers.stop();
  }
  // Markers were committed until a moment ago, after the barrier that has been waited for.
  failure ??= markers.violation() ?? (await settle(machine)) ?? (await verdict(machine));
  return { schedule, failure, committed, watched, healedMs, missed };
}

async function befall(machine: Machine, fault: Fault, missed: Fault[]): Promise<void> {
  await delay(fault.atMs);
  try {
    await acts[fault.kind](machine, fault);
  } catch (error) {
    if (!isOutage(error) && !isElsewhere(error)) throw error;
    missed.push(fault);
  }
}

/** Another fault was faster: the slot is gone already. */
function isElsewhere(error: unknown): boolean {
  return error instanceof Error && /^Not within/.test(error.message);
}

/** Waits until all that has committed is applied. @returns what is in the way, if it is not in time. */
export async function settle(machine: Machine): Promise<string | undefined> {
  const { pool } = machine;
  const deadline = Date.now() + healWithinMs;
  const lsn = await eventually(() => raiseBarrier(pool), { timeoutMs: 30_000, intervalMs: 50 });
  let last = '';
  while (Date.now() < deadline) {
    await redrive(machine);
    try {
      const { applied, captured } = await waitUntilApplied({ db: pool, direction: 'forward', timeoutMs: 500 }, lsn);
      if (applied) return undefined;
      last = captured ? 'captured, and not applied' : 'not captured';
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      last = error.message;
      await delay(200);
    }
  }
  const { rows } = await pool.query(
    'SELECT kind, shard, commit_lsn, sent_at FROM lockstep.in_flight ORDER BY seq LIMIT 5',
  );
  return `Not healed within ${healWithinMs} ms (${last}); in flight: ${JSON.stringify(rows)}`;
}

/** Whether the targets are what they should be: by the oracle's own SQL, and by the views. */
async function verdict({ pool, loaded }: Machine): Promise<string | undefined> {
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
  const client = await pool.connect();
  try {
    const oracle = await oracleDifferences(client);
    if (oracle.length > 0) return `The oracle differs: ${JSON.stringify(oracle.slice(0, 5))}`;
  } finally {
    client.release();
  }
  const views = await differences(pool, loaded);
  return Object.keys(views).length > 0 ? `The views differ: ${JSON.stringify(views).slice(0, 2_000)}` : undefined;
}
