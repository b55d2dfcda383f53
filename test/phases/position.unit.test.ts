import { expect, test } from 'vitest';
import { type PlacedChange, phasesAt } from '../../engine/phases/position.ts';

const cutover: PlacedChange = { from: 'forward', announcedLsn: 100n, settledLsn: 120n };
const rollback: PlacedChange = { from: 'reverse', announcedLsn: 200n, settledLsn: 220n };

test('before the announcement a stream is in the phase that the change leaves, beyond the commit in the one it leads to', () => {
  expect(phasesAt(50n, [], 'forward')).toEqual(['forward']);
  expect(phasesAt(100n, [cutover], 'reverse')).toEqual(['forward']);
  expect(phasesAt(120n, [cutover], 'reverse')).toEqual(['reverse']);
  expect(phasesAt(150n, [cutover, rollback], 'forward')).toEqual(['reverse']);
  expect(phasesAt(90n, [cutover, rollback], 'forward')).toEqual(['forward']);
  expect(phasesAt(500n, [cutover, rollback], 'forward')).toEqual(['forward']);
});

test('in between, and while nobody has noted where the commit is, it may be in either', () => {
  expect(phasesAt(110n, [cutover], 'reverse')).toEqual(['forward', 'reverse']);
  expect(phasesAt(110n, [cutover, rollback], 'forward')).toEqual(['forward', 'reverse']);
  expect(phasesAt(5_000n, [{ ...cutover, settledLsn: undefined }], 'reverse')).toEqual(['forward', 'reverse']);
});
