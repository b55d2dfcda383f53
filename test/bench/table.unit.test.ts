import { expect, test } from 'vitest';
import { isMet, median, percentile, ratios } from '../../bench/numbers.ts';
import { tableOf } from '../../bench/report.ts';
import { histogram } from '../../bench/rig/histogram.ts';

test('the median of an even number of turns lies between the middle two', () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => median([])).toThrow(RangeError);
});

test('a percentile is a value that was measured (nearest rank)', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect([50, 99, 99.9, 100].map((percent) => percentile(values, percent))).toEqual([50, 99, 100, 100]);
  expect(percentile([7], 50)).toBe(7);
});

test('a ratio is taken turn by turn, and a turn without a counterpart is refused', () => {
  expect(ratios([10, 30], [20, 10])).toEqual([0.5, 3]);
  expect(() => ratios([1], [1, 2])).toThrow(RangeError);
});

test('a histogram counts every value once', () => {
  expect(histogram([5, 10, 11, 6_000])).toBe('≤10 ms 50.0 %, ≤20 ms 25.0 %, more 25.0 %');
});

test('a missed target is said to be missed, at its very limit it is met', () => {
  expect(isMet(0.8, { kind: 'at least', value: 0.8 })).toBe(true);
  expect(isMet(1.01, { kind: 'at most', value: 1 })).toBe(false);
  const row = { what: 'apply', against: 'INSERT', series: [], figure: [0.5, 0.9, 0.7], figureUnit: 'x' };
  const table = tableOf([
    { ...row, target: { kind: 'at least', value: 0.8 } },
    { ...row, target: undefined },
  ]);
  expect(table.split('\n').map((line) => line.replaceAll(/ {2,}/g, '|'))).toEqual([
    'what|against|median (spread)|target',
    'apply|INSERT|0.7x (0.5 – 0.9)|at least 0.8x|MISSED',
    'apply|INSERT|0.7x (0.5 – 0.9)',
  ]);
});
