import { expect, test } from 'vitest';
import { findings, lagSeconds, secondsUntilLost, walRate } from '../../engine/status/health.ts';
import type { SlotState, StreamState } from '../../engine/status/queries.ts';

const slot: SlotState = {
  name: 'lockstep_forward_db',
  active: true,
  walStatus: 'reserved',
  confirmedLsn: '0/1',
  retainedBytes: 0,
  unconfirmedBytes: 0,
  safeWalBytes: null,
  invalidationReason: null,
};
const stream = (changed: Partial<StreamState> = {}): StreamState => {
  return { nowMs: 1_000_000, walPosition: 0n, slot, slotName: slot.name, listenerSeenAtMs: 998_000, ...changed };
};
const idle = { messages: 0, oldestAgeMs: 0 };
const texts = (state: StreamState) =>
  findings(state, idle, [], undefined).map(({ level, text }) => `${level}: ${text}`);

test('the time until a slot is lost follows from what may be written and how fast it is', () => {
  expect(walRate({ position: 100n, atMs: 1000 }, { position: 1100n, atMs: 3000 })).toBe(500);
  expect(walRate({ position: 100n, atMs: 1000 }, { position: 1100n, atMs: 1000 })).toBeUndefined();
  expect(secondsUntilLost({ ...slot, safeWalBytes: 5000 }, 500)).toBe(10);
  expect(secondsUntilLost({ ...slot, safeWalBytes: -1 }, 500)).toBe(0);
  expect(secondsUntilLost(slot, 500)).toBeUndefined();
  expect(secondsUntilLost({ ...slot, safeWalBytes: 5000 }, 0)).toBeUndefined();
});

test('lag is the age of the oldest change in flight; a listener that is gone adds what nobody has read', () => {
  expect(lagSeconds(stream(), 2500)).toBe(2.5);
  const gone = { slot: { ...slot, active: false }, listenerSeenAtMs: 940_000 };
  expect(lagSeconds(stream(gone), 2500)).toBe(60);
  expect(lagSeconds(stream({ ...gone, slot }), 0)).toBe(0);
  expect(lagSeconds(stream({ slot: undefined, listenerSeenAtMs: undefined }), 0)).toBe(0);
});

test('everything in order: nothing is found', () => {
  expect(texts(stream())).toEqual([]);
});

test.each([
  [{ slot: undefined, listenerSeenAtMs: undefined, slotName: undefined }, /^attention: The listener has never run/],
  [{ slot: undefined }, /^broken: The slot lockstep_forward_db is gone/],
  [{ slot: { ...slot, active: false } }, /^broken: No listener is connected/],
  [{ slot: { ...slot, walStatus: 'unreserved' } }, /^broken: .* about to be lost/],
  [
    { slot: { ...slot, walStatus: 'lost', active: false, invalidationReason: 'wal_removed' } },
    /^broken: .* is lost \(wal_removed\)/,
  ],
] satisfies [Partial<StreamState>, RegExp][])('%j is found', (changed, message) => {
  expect(texts(stream(changed))).toEqual([expect.stringMatching(message)]);
});

test('messages that are stuck, a slot that will be lost and quarantine are found, the worst first', () => {
  const stuck = { messages: 2, oldestAgeMs: 6 * 60_000 };
  const group = { target: 't', sqlState: '23503', scopes: 3, message: 'm' };
  const found = findings(stream(), stuck, [group, group], 600);
  expect(found.map(({ level, text }) => [level, text.slice(0, 30)])).toEqual([
    ['broken', 'A message has been in flight f'],
    ['attention', 'At this rate of writes the slo'],
    ['attention', '6 scopes are in quarantine. Me'],
  ]);
});
