import { expect, inject, test } from 'vitest';
import { converge, seedsToRun } from './converge.ts';
import { photomemoryWorld } from './photomemory.ts';
import { warehouseWorld } from './warehouse.ts';

// The newest version gets the long run; the oldest one shows that nothing in it depends on the version.
const runs = inject('postgresMajor') === 18 ? 150 : 30;

test('PhotoMemory: whatever the order, repetition and delay of messages, synced = derived from scratch', {
  timeout: 600_000,
}, async () => {
  const { delivered } = await converge(photomemoryWorld, seedsToRun(runs));
  expect(delivered).toBeGreaterThan(0);
});

test('composite keys, many rows to one: the same', { timeout: 600_000 }, async () => {
  const { delivered } = await converge(warehouseWorld, seedsToRun(runs));
  expect(delivered).toBeGreaterThan(0);
});
