import { setTimeout as delay } from 'node:timers/promises';
import { activeDirection } from '../../engine/status/phase.ts';
import { type Application, startApplication } from './application.ts';
import { acts, endFaults, redrive } from './faults.ts';
import type { Machine } from './machine.ts';
import { watchWatermark } from './markers.ts';
import { mend } from './mend.ts';
import type { Fault, Schedule } from './plan.ts';
import { healWithinMs, settle, unfinished } from './settle.ts';
import { type Turned, turn } from './turn.ts';
import { verdict } from './verdict.ts';
import { isOutage, startWorkload, type Workload } from './workload.ts';

export interface Outcome {
  readonly schedule: Schedule;
  /** Undefined: equal, nothing lost, nothing invented, the watermark never ahead. */
  readonly failure: string | undefined;
  /** Transactions of the application that committed. */
  readonly committed: number;
  /** Commits that the watermark was watched to pass. */
  readonly watched: number;
  /** From the end of the faults until everything was applied. */
  readonly healedMs: number;
  /** Faults that could not be done, because another one had taken what they need. */
  readonly missed: readonly Fault[];
  /** How the planned changes of the direction went. */
  readonly turned: readonly Turned[];
}

type Judged = { -readonly [K in keyof Omit<Outcome, 'schedule'>]: Outcome[K] };

/** Runs one schedule on a machine that is well, lets it heal, and asks the oracle. Legacy is the truth before and after. */
export async function runSchedule(machine: Machine, schedule: Schedule): Promise<Outcome> {
  if (schedule.turns.length === 0) {
    return { schedule, ...(await strike(machine, schedule, startWorkload(machine, schedule.seed))) };
  }
  const failure = await mend(machine);
  if (failure !== undefined) return { schedule, ...notBegun, failure };
  const application = await startApplication(machine, schedule.seed);
  const judged = await strike(machine, schedule, application);
  return { schedule, ...judged, failure: judged.failure ?? (await turnBack(machine, application)) };
}

const notBegun: Readonly<Judged> = {
  failure: undefined,
  committed: 0,
  watched: 0,
  healedMs: 0,
  missed: [],
  turned: [],
};

async function strike(
  machine: Machine,
  { durationMs, faults, turns }: Schedule,
  workload: Workload & Partial<Application>,
): Promise<Judged> {
  const missed: Fault[] = [];
  const turned: Turned[] = [];
  const givingUp = new AbortController();
  const markers = watchWatermark(machine);
  const judged: Judged = { ...notBegun, missed, turned };
  const turning = (async () => {
    const startedMs = Date.now();
    for (const planned of turns) {
      await delay(Math.max(0, planned.atMs - (Date.now() - startedMs)));
      turned.push(await turn(machine, planned, givingUp.signal));
    }
  })();
  try {
    await Promise.all([delay(durationMs), ...faults.map((fault) => befall(machine, fault, missed))]);
    await endFaults(machine);
    const endedMs = Date.now();
    workload.calm?.();
    await within(machine, turning, givingUp);
    judged.failure = await notTurned(machine, turned);
    judged.committed = await workload.stop();
    judged.failure ??= await settle(machine);
    judged.healedMs = Date.now() - endedMs;
  } finally {
    givingUp.abort();
    await turning;
    await workload.stop();
    judged.watched = await markers.stop();
  }
  // Markers were committed until a moment ago, after the barrier that has been waited for.
  judged.failure ??= markers.violation() ?? (await settle(machine)) ?? (await verdict(machine));
  judged.failure ??= lossText((await workload.lost?.(machine.pool)) ?? []);
  return judged;
}

/** The operator goes on trying, and sends dead letters back, which are in the way of a cutover. */
async function within(machine: Machine, turning: Promise<void>, givingUp: AbortController): Promise<void> {
  const deadline = AbortSignal.any([AbortSignal.timeout(healWithinMs), givingUp.signal]);
  const done = turning.then(() => true);
  while (!(await Promise.race([done, delay(1_000, false)]))) {
    if (deadline.aborted) givingUp.abort();
    await redrive(machine);
  }
}

async function notTurned(machine: Machine, turned: readonly Turned[]): Promise<string | undefined> {
  const stuck = turned.find(({ done }) => !done);
  if (!stuck) return undefined;
  const why = `No ${stuck.change} within ${healWithinMs} ms after the last fault: ${JSON.stringify(stuck)}`;
  return `${why}. ${await unfinished(machine)}`;
}

function lossText(lost: readonly string[]): string | undefined {
  return lost.length > 0 ? `Committed, and not there: ${lost.slice(0, 5).join('; ')}` : undefined;
}

/** Where the schedule has left the normalized tables as the truth: nothing must be lost on the way back either. */
async function turnBack(machine: Machine, application: Application): Promise<string | undefined> {
  const { pool } = machine;
  if ((await activeDirection(pool)) === 'forward') return undefined;
  const back = await turn(machine, { atMs: 0, change: 'rollback' }, AbortSignal.timeout(healWithinMs));
  return (
    (await notTurned(machine, [back])) ??
    (await settle(machine)) ??
    (await verdict(machine)) ??
    lossText(await application.lost(pool))
  );
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
