import { startChaosMachine } from './machine.ts';
import type { Schedule } from './plan.ts';
import { runSchedule } from './schedule.ts';
import { settle } from './settle.ts';

/** What fails by a race does not fail each time. */
const triesEach = 2;

/** Whether the schedule fails on a machine of its own. */
async function fails(schedule: Schedule): Promise<boolean> {
  for (let left = triesEach; left > 0; left--) {
    await using machine = await startChaosMachine(schedule.seed);
    if ((await settle(machine)) !== undefined) return true;
    if ((await runSchedule(machine, schedule)).failure !== undefined) return true;
  }
  return false;
}

/** Leaves out one fault after the other for as long as it still fails. @returns the smallest that was seen to fail. */
export async function minimise(schedule: Schedule, say: (text: string) => void): Promise<Schedule> {
  let smallest = schedule;
  for (const fault of schedule.faults) {
    const candidate = { ...smallest, faults: smallest.faults.filter((other) => other !== fault) };
    if (!(await fails(candidate))) continue;
    smallest = candidate;
    say(`fails without "${fault.kind}" as well`);
  }
  return smallest;
}
