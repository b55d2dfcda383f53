import { expect, test } from 'vitest';
import { hasRecovered, isFlat, rateOf, recoveredAfterSeconds, type Sample } from '../../bench/load/phase.ts';

const samples = (...lags: number[]): Sample[] =>
  lags.map((lagSeconds, second) => ({
    atMs: second * 1_000,
    committed: second * 500,
    lagSeconds,
    keptBytes: 0,
    messages: 0,
    keys: 0,
    resident: {},
  }));

test('a lag that jumps about is flat, one that grows is not', () => {
  expect(isFlat(samples(0.1, 0.9, 0.2, 0.1, 0.8, 0.3))).toBe(true);
  expect(isFlat(samples(0.2, 0.4, 0.7, 0.9, 1.4, 1.8))).toBe(false);
  // A backlog from before that does not grow.
  expect(isFlat(samples(4, 4, 5, 5, 5, 5))).toBe(true);
  expect(isFlat(samples(4, 4, 5, 6, 7, 8))).toBe(false);
  expect(() => isFlat(samples(1, 2))).toThrow(RangeError);
});

test('the rate is what was committed; recovered is what stays so', () => {
  expect(rateOf(samples(0, 0, 0))).toBe(500);
  expect(recoveredAfterSeconds(samples(9, 5, 0.5, 3, 0.5, 0.4))).toBe(4);
  expect(recoveredAfterSeconds(samples(9, 5, 2))).toBeUndefined();
});

test('the recovery is over when there has been no backlog for a minute', () => {
  const calm = Array.from({ length: 60 }, () => 0.2);
  expect(hasRecovered(samples(9, 5, ...calm))).toBe(true);
  expect(hasRecovered(samples(9, 5, ...calm.slice(1)))).toBe(false);
  expect(hasRecovered(samples(...calm.slice(1)))).toBe(false);
  expect(hasRecovered(samples(...calm, 1.5))).toBe(false);
});
