import { expect, test } from 'vitest';
import { nextChunkScopes, pauseForRateMs } from '../../engine/validate/chunks.ts';
import { type Findings, judge } from '../../engine/validate/verdict.ts';

const clean = {
  target: 't',
  missing: 0,
  extra: 0,
  different: 0,
  repaired: 0,
  unsettled: { scopes: 0, examples: [] },
};
const fine: Findings = { caughtUp: true, complete: true, fenced: false, targets: [clean], checks: [] };
const check = (outcome: 'pass' | 'fail' | 'moving') => ({ level: 'counts' as const, name: 'c', outcome, values: {} });

test.each<[string, Partial<Findings>, string]>([
  ['nothing wrong', {}, 'agrees'],
  ['a missing row', { targets: [{ ...clean, missing: 1 }] }, 'differs'],
  ['an extra row', { targets: [{ ...clean, extra: 1 }] }, 'differs'],
  ['a different row', { targets: [clean, { ...clean, different: 1 }] }, 'differs'],
  ['all of them repaired', { targets: [{ ...clean, missing: 1, different: 2, repaired: 3 }] }, 'agrees'],
  ['not all of them repaired', { targets: [{ ...clean, missing: 1, different: 2, repaired: 2 }] }, 'differs'],
  ['what could not be proved', { targets: [{ ...clean, unsettled: { scopes: 1, examples: [] } }] }, 'unproven'],
  [
    'drift beside what could not be proved',
    { targets: [{ ...clean, extra: 1, unsettled: { scopes: 1, examples: [] } }] },
    'differs',
  ],
  ['drift in a part', { complete: false, targets: [{ ...clean, extra: 1 }] }, 'differs'],
  ['no more than a part', { complete: false }, 'unproven'],
  ['not caught up', { caughtUp: false, complete: false }, 'unproven'],
  ['switched in between', { fenced: true }, 'unproven'],
  ['a failed check', { checks: [check('pass'), check('fail')] }, 'differs'],
  ['a check that traffic keeps moving, while the rows agree', { checks: [check('moving')] }, 'agrees'],
  ['a check that traffic keeps moving, and no rows compared', { targets: [], checks: [check('moving')] }, 'unproven'],
])('%s', (_, change, verdict) => {
  const judged = judge({ ...fine, ...change });
  expect(judged.verdict).toBe(verdict);
  expect(judged.reasons.length > 0).toBe(verdict !== 'agrees');
});

test('a chunk follows its time, grows at most fourfold, and shrinks when much of it has to be settled', () => {
  expect(nextChunkScopes(1_000, 700, 0)).toBe(1_000);
  expect(nextChunkScopes(1_000, 1, 0)).toBe(4_000);
  expect(nextChunkScopes(1_000, 7_000, 0)).toBe(100);
  expect(nextChunkScopes(1, 1_000_000, 0)).toBe(100);
  expect(nextChunkScopes(200_000, 1, 0)).toBe(200_000);
  expect(nextChunkScopes(20_000, 700, 20_000)).toBe(2_000);
});

test('a rate is kept by pausing for the rest of the time', () => {
  expect(pauseForRateMs(1_000, 200, undefined)).toBe(0);
  expect(pauseForRateMs(1_000, 200, 1_000)).toBe(800);
  expect(pauseForRateMs(1_000, 2_000, 1_000)).toBe(0);
});
