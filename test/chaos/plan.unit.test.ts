import { expect, test } from 'vitest';
import { killPlaces, kinds, planOf } from './plan.ts';

test('a seed makes one schedule, and two hundred seeds make every kind of fault', () => {
  expect(planOf(7)).toEqual(planOf(7));
  const schedules = Array.from({ length: 200 }, (_, seed) => planOf(seed + 1));
  const drawn = new Set(schedules.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
  expect([...drawn].sort()).toEqual(Object.keys(kinds).sort());
  for (const { durationMs, faults } of schedules) {
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.every(({ atMs }) => atMs < durationMs)).toBe(true);
  }
  const turns = schedules.flatMap((schedule) => schedule.turns);
  expect([...new Set(turns.map(({ killedAt }) => killedAt ?? ''))].sort()).toEqual(['', ...killPlaces].sort());
  expect(turns.filter(({ change }) => change === 'rollback').length).toBeGreaterThan(20);
  // Never a rollback of what was not cut over.
  for (const { turns: own } of schedules)
    expect(own.map(({ change }) => change)).toEqual(['cutover', 'rollback'].slice(0, own.length));
});
