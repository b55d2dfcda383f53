import type { ClientBase } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rows } from '../sql/world.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { type Random, randomFrom } from '../../engine/random.ts';
import { legacyRows, leniently, mutation, shared } from './states.ts';
import { changes, losses, prepareWays, stateOf, type Ways } from './ways.ts';

/** Each case in a transaction that is rolled back: both schemas are empty again. */
let database: TestDatabase;
let client: ClientBase;
let ways: Ways;
beforeAll(async () => {
  database = await testDatabase({ template: photomemory });
  client = await database.client();
  ways = await prepareWays(client);
  await client.query('ALTER TABLE subscription_plans ALTER COLUMN name DROP NOT NULL');
  await client.query(
    `INSERT INTO subscription_plans (id, name, price_cents, billing_interval) VALUES ('a plan with quite a long name', 'Long', 1, 'month')`,
  );
});
afterAll(() => database?.[Symbol.asyncDispose]());

async function inTransaction(work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await work();
  } finally {
    await client.query('ROLLBACK');
  }
}

const legacyState = `SET LOCAL session_replication_role = replica; ${shared}; %; SET LOCAL session_replication_role = origin`;
const fillLegacy = (random: Random) => client.query(legacyState.replace('%', () => legacyRows(random)));
const trueTotals =
  'UPDATE users u SET total_storage_bytes = r.total_storage_bytes FROM lockstep_reverse.users r WHERE r.id = u.id';
const manySeeds = (count: number) => Array.from({ length: count }, (_, seed) => seed + 1);
const only = process.env.LOCKSTEP_TEST_SEED;
const seeds = (count: number) => (only === undefined ? manySeeds(count) : [Number(only)]);

test('there and back: a legacy state that was carried over and not changed is not written to, byte by byte', {
  timeout: 300_000,
}, async () => {
  for (const seed of seeds(40)) {
    await inTransaction(async () => {
      const random = randomFrom(seed);
      await fillLegacy(random);
      await client.query(ways.forward);
      await client.query(trueTotals);
      expect(await rows(client, ways.reverseDifferences), `seed ${seed}`).toEqual([]);
      expect(await losses(client), `seed ${seed}`).toEqual([]);
    });
  }
});

test('back and there: what the lossiness check names is exactly what differs, and all the rest returns', {
  timeout: 900_000,
}, async () => {
  let lossless = 0;
  for (const seed of seeds(Number(process.env.LOCKSTEP_TEST_RUNS ?? 60))) {
    await inTransaction(async () => {
      const random = randomFrom(seed);
      await (random.chance(0.7) ? fillLegacy(random) : client.query(shared));
      if (random.chance(0.8)) await client.query(ways.forward);
      await client.query(
        leniently(Array.from({ length: random.integer(random.pick([3, 12])) }, () => mutation(random))),
      );
      const before = await stateOf(client);
      const named = await losses(client);
      await client.query(ways.reverse);
      const again = await rows<{ table: string; row: { id: string } }>(client, ways.reverseDifferences);
      await client.query(ways.forward);
      const changed = changes(before, await stateOf(client));
      // A plan's name that users cannot store is refused there.
      const tooLong = [...(before.user_subscriptions ?? [])].filter(([, row]) => (row.plan_id ?? '').length > 22);
      const refused = tooLong.map(([key]) => `user_subscriptions ${key} plan_id`);
      expect(named, `seed ${seed}`).toEqual([...new Set([...changed, ...refused])].sort());
      const refusedUsers = tooLong.map(([, row]) => row.user_id);
      expect(
        again.filter(({ table, row }) => !(table === 'users' && refusedUsers.includes(`"${row.id}"`))),
        `seed ${seed}: what has been carried back does not stay as it is`,
      ).toEqual([]);
      if (named.length === 0 && (before.media_files?.size ?? 0) > 0) lossless += 1;
    });
  }
  if (only === undefined) expect(lossless).toBeGreaterThan(3);
});
