import { expect, test } from 'vitest';
import { nextChunkScopes } from '../../engine/backfill/bounds.ts';
import { pauseBeforeChunkMs } from '../../engine/backfill/pace.ts';

const quiet = { lagBytes: 0, lockWaits: 0, oldestChangeMs: 0, activeSessions: 3 };

test('a backfill that is in nobody’s way does not wait', () => {
  expect(pauseBeforeChunkMs(quiet, 100, undefined)).toBe(0);
  expect(pauseBeforeChunkMs(quiet, 100, 3)).toBe(0);
});

test('it leaves half of the time to whoever waits for a lock, and to a stream that is behind', () => {
  expect(pauseBeforeChunkMs({ ...quiet, lockWaits: 1 }, 80, undefined)).toBe(80);
  expect(pauseBeforeChunkMs({ ...quiet, oldestChangeMs: 501 }, 80, undefined)).toBe(80);
  expect(pauseBeforeChunkMs({ ...quiet, lockWaits: 1 }, 5_000, undefined)).toBe(1_000);
});

test('it waits a second while much WAL is unread, or the application is busier than allowed', () => {
  expect(pauseBeforeChunkMs({ ...quiet, lagBytes: 300 * 1024 * 1024 }, 80, undefined)).toBe(1_000);
  expect(pauseBeforeChunkMs(quiet, 80, 2)).toBe(1_000);
});

test('a chunk is sized by the time that the last one took, and grows at most twofold', () => {
  expect(nextChunkScopes(500, 100)).toBe(500);
  expect(nextChunkScopes(500, 400)).toBe(125);
  expect(nextChunkScopes(500, 1)).toBe(1_000);
  expect(nextChunkScopes(100, 60_000)).toBe(50);
  expect(nextChunkScopes(50_000, 10)).toBe(50_000);
});
