import { expect, inject, test } from 'vitest';
import { converge, seedsToRun } from './converge.ts';
import { photomemoryWorld } from './photomemory.ts';
import { warehouseWorld } from './warehouse.ts';
import { wayBackWorld } from './way-back.ts';

// The newest version gets the long run; the oldest one shows that nothing in it depends on the version.
const newest = inject('postgresMajor') === 18;
const runs = newest ? 150 : 30;

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

test.runIf(newest)('the way back, after a cutover: the same', { timeout: 600_000 }, async () => {
  const seeds = seedsToRun(Number(process.env.LOCKSTEP_TEST_RUNS ?? 30));
  // Each ten from a legacy state of their own.
  for (let from = 0; from < seeds.length; from += 10) {
    const { delivered } = await converge(wayBackWorld, seeds.slice(from, from + 10));
    expect(delivered).toBeGreaterThan(0);
  }
});
