import type pg from 'pg';
import { expect } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { ensurePublication } from '../../engine/capture/publication.ts';
import type { DirectionName, Migration } from '../../engine/migration/contract.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { type Random, randomFrom } from '../../engine/random.ts';
import { silent } from '../../engine/telemetry.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { startListener } from '../capture/support.ts';
import { type DatabaseTemplate, type TestDatabase, testDatabase } from '../support/database.ts';
import { differences } from '../support/differences.ts';
import { Bag } from './bag.ts';
import { transact } from './transaction.ts';

export interface World {
  readonly template: DatabaseTemplate;
  readonly migration: Migration;
  /** Default: forward. */
  readonly direction?: DirectionName;
  /** What the database holds, and how it comes into the direction; the publication is made afterwards. */
  readonly prepare?: (database: TestDatabase, random: Random) => Promise<void>;
  /** One random statement on a source table. */
  readonly statement: (random: Random) => string;
  /** Further proof that all is well, beyond comparing the targets with their views. */
  readonly oracle?: (pool: pg.Pool) => Promise<unknown[]>;
}

/** What waits for ever is found all the same; what a busy machine delays is not taken for it. */
const timeoutMs = 240_000;
const writers = 3;
const appliers = 3;

/**
 * For each seed: random transactions by several writers at once, captured from the WAL by a listener, handed in any
 * order, repeated, to several appliers that crash now and then. Afterwards: synced = derived from scratch.
 */
export async function converge(world: World, seeds: readonly number[]): Promise<{ delivered: number }> {
  await using database = await testDatabase({ template: world.template });
  const { pool } = database;
  const { direction: directionName = 'forward', migration } = world;
  const direction = migration[directionName];
  if (!direction) throw new Error(`${migration.name} has no ${directionName} direction`);
  await world.prepare?.(database, randomFrom(seeds[0] ?? 0));
  await ensurePublication(pool, directionName, direction);
  const loaded = await loadDirection(pool, directionName, direction);
  const bag = new Bag(migration);
  await using _listener = await startListener(database, migration, bag, { directionName, direction });
  const clients = await Promise.all(Array.from({ length: writers }, () => database.client()));
  for (const client of clients) await client.query("SET deadlock_timeout = '50ms'");
  for (const seed of seeds) {
    const stop = new AbortController();
    const feeding = Array.from({ length: appliers }, async (_, index) => {
      const random = randomFrom(seed * 31 + index);
      const failpoints = (point: string) => {
        if (point === 'apply.before-commit' && random.chance(0.05)) throw new Error('crash');
        if (point === 'apply.committed' && random.chance(0.03)) throw new Error('crash');
      };
      const limits = random.chance(0.3)
        ? { rowsPerTransaction: 2, scopesPerTransaction: 3 }
        : { rowsPerTransaction: 50, scopesPerTransaction: 50 };
      await bag.feed(createApplier({ pool, loaded, telemetry: silent, failpoints, limits }), random, stop.signal);
    });
    try {
      await Promise.all(
        clients.map(async (client, index) => {
          const random = randomFrom(seed * 17 + index);
          for (let left = 3 + random.integer(6); left > 0; left--) await transact(client, world.statement, random);
        }),
      );
      const passed = await Promise.race([
        passBarrier({ db: pool, direction: directionName, timeoutMs }),
        Promise.all(feeding).then(() => undefined),
      ]);
      expect(passed, `seed ${seed}: not applied in time`).toMatchObject({ captured: true, applied: true });
    } finally {
      stop.abort();
    }
    await Promise.all(feeding);
    // Before the retry, too: that one merges exclusively, and finds what merges beside each other may have missed.
    expect(await differences(pool, loaded), `seed ${seed}, before the retry`).toEqual({});
    await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + timeoutMs });
    expect(await differences(pool, loaded), `seed ${seed}`).toEqual({});
    if (world.oracle) expect(await world.oracle(pool), `seed ${seed}: the independent oracle`).toEqual([]);
  }
  return { delivered: bag.delivered };
}

/** `LOCKSTEP_TEST_SEED=42` repeats one run; otherwise `count` seeds. */
export function seedsToRun(count: number): number[] {
  const only = process.env.LOCKSTEP_TEST_SEED;
  return only === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(only)];
}
