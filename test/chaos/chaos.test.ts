import { expect, test } from 'vitest';
import { leaks } from './leaks.ts';
import { startChaosMachine } from './machine.ts';
import type { Schedule } from './plan.ts';
import { runSchedule } from './schedule.ts';
import { settle } from './settle.ts';

/** A few that meet each part of the machine; `npm run chaos` draws others. */
const fixed: readonly Schedule[] = [
  {
    seed: 1,
    durationMs: 1_500,
    faults: [
      { atMs: 100, kind: 'messages shuffled', forMs: 900 },
      { atMs: 300, kind: 'part killed', forMs: 0, on: 'applier-1' },
      { atMs: 600, kind: 'answers of the queue lost', forMs: 600 },
      { atMs: 700, kind: 'malformed messages', forMs: 0 },
      { atMs: 950, kind: 'messages duplicated', forMs: 500 },
    ],
    turns: [],
  },
  {
    seed: 2,
    durationMs: 1_500,
    faults: [
      { atMs: 200, kind: 'slot dropped', forMs: 0, on: 'forward' },
      { atMs: 500, kind: 'network cut', forMs: 200, on: 'appliers' },
      { atMs: 800, kind: 'password rotated', forMs: 0, on: 'lockstep_applier' },
      { atMs: 1_300, kind: 'server stopped at once', forMs: 100 },
    ],
    turns: [],
  },
  {
    seed: 3,
    durationMs: 2_000,
    faults: [
      { atMs: 300, kind: 'part killed', forMs: 0, on: 'listener-1' },
      { atMs: 600, kind: 'batches partly refused', forMs: 800 },
      { atMs: 900, kind: 'slot dropped', forMs: 0, on: 'reverse' },
    ],
    turns: [
      { atMs: 0, change: 'cutover', killedAt: 'switch.turned' },
      { atMs: 0, change: 'rollback' },
    ],
  },
];
/** Faults that overlap can be in each other's way; how many are depends on the machine. */
const strikeAtLeast = 8;

test('whatever breaks, also during a cutover, nothing is lost, nothing invented, the watermark never ahead, and no secret printed', {
  timeout: 900_000,
}, async () => {
  await using machine = await startChaosMachine(1);
  expect(await settle(machine)).toBeUndefined();
  let struck = 0;
  for (const schedule of fixed) {
    const { failure, missed, turned, committed, watched } = await runSchedule(machine, schedule);
    expect({ seed: schedule.seed, failure }).toEqual({ seed: schedule.seed, failure: undefined });
    expect(turned.map(({ change, done }) => [change, done])).toEqual(
      schedule.turns.map(({ change }) => [change, true]),
    );
    expect(Math.min(committed, watched)).toBeGreaterThan(0);
    struck += schedule.faults.length - missed.length;
  }
  expect(struck).toBeGreaterThanOrEqual(strikeAtLeast);
  expect(machine.printed.length).toBeGreaterThan(0);
  expect(leaks(machine)).toEqual({});
});
