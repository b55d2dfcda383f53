import { expect, test } from 'vitest';
import { leaks } from './leaks.ts';
import { startChaosMachine } from './machine.ts';
import type { Schedule } from './plan.ts';
import { runSchedule, settle } from './schedule.ts';

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
  },
  {
    seed: 2,
    durationMs: 1_500,
    faults: [
      { atMs: 200, kind: 'slot dropped', forMs: 0 },
      { atMs: 500, kind: 'network cut', forMs: 200, on: 'appliers' },
      { atMs: 800, kind: 'password rotated', forMs: 0, on: 'lockstep_applier' },
      { atMs: 1_300, kind: 'server stopped at once', forMs: 100 },
    ],
  },
  {
    seed: 3,
    durationMs: 1_500,
    faults: [
      { atMs: 100, kind: 'part frozen', forMs: 400, on: 'listener-1' },
      { atMs: 600, kind: 'slot invalidated', forMs: 0 },
    ],
  },
];

test('whatever breaks, nothing is lost, nothing invented, the watermark never ahead, and no secret printed', {
  timeout: 300_000,
}, async () => {
  await using machine = await startChaosMachine(1);
  expect(await settle(machine)).toBeUndefined();
  for (const schedule of fixed) {
    const { failure, missed } = await runSchedule(machine, schedule);
    expect({ seed: schedule.seed, failure, missed }).toEqual({ seed: schedule.seed, failure: undefined, missed: [] });
  }
  expect(machine.printed.length).toBeGreaterThan(0);
  expect(leaks(machine)).toEqual({});
});
