/** A row that the target holds under a scope which cannot be merged. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { type Applier, createApplier } from '../../engine/apply/applier.ts';
import { mergeNextChunk } from '../../engine/backfill/chunk.ts';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const user = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;
const subscription = (n: number) => `30000000-0000-0000-0000-00000000000${n}`;
const quarantined = async (pool: pg.Pool) =>
  (
    await pool.query<{ user: string; sqlstate: string }>(
      'SELECT scope[1] AS user, sqlstate FROM lockstep.quarantine ORDER BY 1',
    )
  ).rows;

/** User 1 gives the subscription to user 2, and gets one whose Stripe id user 3 has: all of user 1 is refused. */
async function refuseUser1(pool: pg.Pool, applier: Applier): Promise<void> {
  await pool.query(`
    UPDATE subscriptions SET user_id = '${user(2)}' WHERE id = '${subscription(1)}';
    INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id) VALUES ('${subscription(2)}', '${user(1)}', 'active', 's')`);
  await deliver(pool, applier, {
    subscriptions: [
      [subscription(1), user(2)],
      [subscription(2), user(1)],
    ],
  });
}

test('a row that is kept by a scope which is refused is not forgotten in the scope that it has moved to', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${user(1)}', 'a'), ('${user(2)}', 'b'), ('${user(3)}', 'c');
    INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id)
    VALUES ('${subscription(1)}', '${user(1)}', 'active', NULL), ('${subscription(3)}', '${user(3)}', 'active', 's')`);
  await deliver(pool, applier, {
    subscriptions: [
      [subscription(1), user(1)],
      [subscription(3), user(3)],
    ],
    users: [[user(1)], [user(2)], [user(3)]],
  });
  expect(await differences(pool, loaded)).toEqual({});

  await refuseUser1(pool, applier);
  expect(await quarantined(pool)).toEqual([
    { user: user(1), sqlstate: '23505' },
    { user: user(2), sqlstate: '55000' },
  ]);
  expect(await differences(pool, loaded)).toEqual({});

  await pool.query(`UPDATE subscriptions SET stripe_subscription_id = 't' WHERE id = '${subscription(2)}'`);
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
  expect(await quarantined(pool)).toEqual([]);
  expect(await differences(pool, loaded)).toEqual({});
});

test('a scope that still lacks a row is not released by a backfill of the scope that another of its rows has moved to', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${user(1)}', 'a'), ('${user(2)}', 'b'), ('${user(3)}', 'c');
    INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id)
    VALUES ('${subscription(1)}', '${user(1)}', 'active', NULL), ('${subscription(3)}', '${user(3)}', 'active', 's'),
           ('${subscription(4)}', '${user(2)}', 'cancelled', NULL)`);
  await deliver(pool, applier, { users: [[user(1)], [user(2)], [user(3)]] });
  expect(await differences(pool, loaded)).toEqual({});
  await refuseUser1(pool, applier);
  expect((await quarantined(pool)).map((row) => row.user)).toEqual([user(1), user(2)]);

  // Another row of user 2 moves on to user 3; before its message is applied, a backfill comes by, one scope at a time.
  await pool.query(`UPDATE subscriptions SET user_id = '${user(3)}' WHERE id = '${subscription(4)}'`);
  const runId = randomUUID();
  await enterBackfill(pool, loaded, {
    id: runId,
    direction: 'forward',
    reason: 'test',
    targets: ['user_subscriptions'],
  });
  await pool.query(`UPDATE lockstep.backfill_target SET cursor = ARRAY['${user(2)}']`);
  await mergeNextChunk({ pool, loaded, failpoints: () => {} }, runId, { scopes: () => 1, mayFill: () => false });
  expect((await quarantined(pool)).map((row) => row.user)).toEqual(expect.arrayContaining([user(1), user(2)]));
  await deliver(pool, applier, { subscriptions: [[subscription(4), user(3)]] });

  await pool.query(`UPDATE subscriptions SET stripe_subscription_id = 't' WHERE id = '${subscription(2)}'`);
  await deliver(pool, applier, { subscriptions: [[subscription(2), user(1)]] });
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
  expect(await quarantined(pool)).toEqual([]);
  expect(await differences(pool, loaded)).toEqual({});
});

/** From whom, to whom; the first row is refused. In each order another way of halving them would cut pairs apart. */
const pairings = [
  [
    [8, 3],
    [5, 2],
    [7, 1],
    [4, 6],
  ],
  [
    [1, 8],
    [2, 7],
    [3, 6],
    [4, 5],
  ],
  [
    [1, 5],
    [2, 6],
    [3, 7],
    [4, 8],
  ],
] as const;

test.each(pairings)(
  'what has moved between other scopes is not held up by a row that is refused: %j',
  async (...pairs) => {
    await using database = await testDatabase({ template: photomemory });
    const { pool } = database;
    const loaded = await loadPhotomemory(pool);
    const applier = createApplier({ pool, loaded, telemetry: silent });
    const all = [1, 2, 3, 4, 5, 6, 7, 8];
    const moving = (n: number) => subscription(n).replace(/^3/, '4');
    const insert = (id: string, owner: number, status: string) =>
      pool.query(`INSERT INTO subscriptions (id, user_id, status) VALUES ('${id}', '${user(owner)}', '${status}')`);
    for (const n of all) {
      await pool.query(`INSERT INTO users (id, email) VALUES ('${user(n)}', '${n}')`);
      await insert(subscription(n), n, 'active');
    }
    for (const [from] of pairs) await insert(moving(from), from, 'cancelled');
    await deliver(pool, applier, { users: all.map((n) => [user(n)]) });
    for (const [from, to] of pairs)
      await pool.query(`UPDATE subscriptions SET user_id = '${user(to)}' WHERE id = '${moving(from)}'`);
    const [[from, to]] = pairs;
    await pool.query(`UPDATE subscriptions SET stripe_subscription_id = repeat('x', 256) WHERE id = '${moving(from)}'`);
    await deliver(pool, applier, { subscriptions: pairs.map(([giver, taker]) => [moving(giver), user(taker)]) });
    expect((await quarantined(pool)).map((row) => row.user)).toEqual([user(from), user(to)].sort());
    expect(await differences(pool, loaded)).toEqual({});
  },
);

test('of two pairs that are refused in one transaction each is told its own reason', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const applier = createApplier({ pool, loaded: await loadPhotomemory(pool), telemetry: silent });
  await pool.query(`
    INSERT INTO users (id, email) SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n FROM generate_series(1, 5) n;
    INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id)
    SELECT ('30000000-0000-0000-0000-00000000000' || n)::uuid, ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'active', CASE n WHEN 5 THEN 'taken' END
    FROM generate_series(1, 5) n;
    INSERT INTO subscriptions (id, user_id, status) VALUES ('${subscription(6)}', '${user(1)}', 'cancelled'), ('${subscription(7)}', '${user(3)}', 'cancelled')`);
  await deliver(pool, applier, { users: [1, 2, 3, 4, 5].map((n) => [user(n)]) });
  await pool.query(`
    UPDATE subscriptions SET user_id = '${user(2)}', stripe_subscription_id = repeat('x', 256) WHERE id = '${subscription(6)}';
    UPDATE subscriptions SET user_id = '${user(4)}', stripe_subscription_id = 'taken' WHERE id = '${subscription(7)}'`);
  await deliver(pool, applier, {
    subscriptions: [
      [subscription(6), user(2)],
      [subscription(7), user(4)],
    ],
  });
  const { rows } = await pool.query('SELECT scope[1] AS user, message FROM lockstep.quarantine ORDER BY 1');
  const told = Object.fromEntries(rows.map((row) => [row.user, row.message]));
  expect(told[user(2)]).toMatch(/value too long/);
  expect(told[user(4)]).toMatch(/duplicate key/);
  expect(told[user(4)]).not.toMatch(/value too long/);
});
