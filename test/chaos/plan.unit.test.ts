import { expect, test } from 'vitest';
import { kinds, planOf } from './plan.ts';

test('a seed makes one schedule, and two hundred seeds make every kind of fault', () => {
  expect(planOf(7)).toEqual(planOf(7));
  const schedules = Array.from({ length: 200 }, (_, seed) => planOf(seed + 1));
  const drawn = new Set(schedules.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
  expect([...drawn].sort()).toEqual(Object.keys(kinds).sort());
  for (const { durationMs, faults } of schedules) {
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.every(({ atMs }) => atMs < durationMs)).toBe(true);
  }
});
