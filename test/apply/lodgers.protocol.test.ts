/** A row that has moved to a scope which is refused: the scope that keeps it says so. */
import type pg from 'pg';
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { mergeNextChunk } from '../../engine/backfill/chunk.ts';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { held } from '../support/held.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const user = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;
const subscription = (n: number) => `30000000-0000-0000-0000-00000000000${n}`;

const tooLong = `repeat('x', 256)`;

async function quarantined(pool: pg.Pool): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ user: string; state: string }>(
    'SELECT scope[1] AS user, sqlstate AS state FROM lockstep.quarantine ORDER BY 1',
  );
  return Object.fromEntries(rows.map(({ user, state }) => [user, state]));
}

/**
 * Users 1 and 2, each with a subscription; user 1 has another one, which is to move, and is in the target when `carried`.
 * (It takes nobody's place: what is in the way of another row is not left where it is.)
 */
async function given(carried: boolean) {
  const database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  const insert = (n: number, owner: number, status: string) =>
    pool.query(
      `INSERT INTO subscriptions (id, user_id, status) VALUES ('${subscription(n)}', '${user(owner)}', '${status}')`,
    );
  await pool.query(`INSERT INTO users (id, email) VALUES ('${user(1)}', 'a'), ('${user(2)}', 'b')`);
  await insert(8, 1, 'active');
  await insert(9, 2, 'active');
  await deliver(pool, applier, { users: [[user(1)], [user(2)]] });
  await insert(1, 1, 'cancelled');
  if (carried) await deliver(pool, applier, { subscriptions: [[subscription(1), user(1)]] });
  return { pool, loaded, applier, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

/** It moves to user 2, where it is refused itself, or together with another one. */
async function move(pool: pg.Pool, refused: 'itself' | 'another'): Promise<void> {
  const set = refused === 'itself' ? `, stripe_subscription_id = ${tooLong}` : '';
  await pool.query(`UPDATE subscriptions SET user_id = '${user(2)}' ${set} WHERE id = '${subscription(1)}'`);
  if (refused === 'itself') return;
  await pool.query(`INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id)
    VALUES ('${subscription(7)}', '${user(2)}', 'cancelled', ${tooLong})`);
}

/** What is wrong with user 2 ends, and with it both quarantines. */
async function mended(pool: pg.Pool, loaded: Awaited<ReturnType<typeof given>>['loaded']) {
  expect(await differences(pool, loaded)).toEqual({});
  await pool.query(`UPDATE subscriptions SET stripe_subscription_id = NULL`);
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
  expect(await quarantined(pool)).toEqual({});
  expect(await differences(pool, loaded)).toEqual({});
}

test('its own event finds the scope refused', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await move(pool, 'another');
  await deliver(pool, applier, { subscriptions: [[subscription(1), user(2)]] });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
  // A neighbour's merge leaves the row, and the scope where it is in quarantine.
  await deliver(pool, applier, { users: [[user(1)]] });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
  await mended(pool, loaded);
});

test('the scope that is refused comes alone: what it hangs together with is found', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await move(pool, 'another');
  await deliver(pool, applier, { users: [[user(2)]] });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
  await mended(pool, loaded);
});

test('a merge that knew nothing of the move brings the row in when the scope that it belongs to is in quarantine already', async () => {
  await using world = await given(false);
  const { pool, loaded, applier: other } = world;
  const { applier, reached, letGo } = held(pool, loaded, 'apply.before-commit');
  const revealing = deliver(pool, applier, { users: [[user(1)]] });
  await reached;
  await move(pool, 'itself');
  await deliver(pool, other, { subscriptions: [[subscription(1), user(2)]] });
  expect(await quarantined(pool)).toEqual({ [user(2)]: '22001' });
  letGo();
  expect(await revealing).toEqual({ kind: 'done' });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
  await mended(pool, loaded);
});

test('… and when it is about to be: whoever puts it there looks for what keeps its rows, afterwards', async () => {
  await using world = await given(false);
  const { pool, loaded } = world;
  const revealing = held(pool, loaded, 'apply.before-commit');
  const revealed = deliver(pool, revealing.applier, { users: [[user(1)]] });
  await revealing.reached;
  await move(pool, 'itself');
  const refusing = held(pool, loaded, 'apply.before-commit');
  const refused = deliver(pool, refusing.applier, { subscriptions: [[subscription(1), user(2)]] });
  await refusing.reached;
  revealing.letGo();
  expect(await revealed).toEqual({ kind: 'done' });
  // Merged again, it holds the row still, which an event on its way will move.
  expect(await quarantined(pool)).toEqual({ [user(1)]: '40003' });
  refusing.letGo();
  expect(await refused).toEqual({ kind: 'done' });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
  await mended(pool, loaded);
});

test('a backfill of the scope that keeps it puts that into quarantine', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await move(pool, 'another');
  await deliver(pool, applier, { subscriptions: [[subscription(1), user(2)]] });
  await pool.query(`DELETE FROM lockstep.quarantine WHERE scope = ARRAY['${user(1)}']`);
  const run = {
    id: crypto.randomUUID(),
    direction: 'forward' as const,
    reason: 'test',
    targets: ['user_subscriptions'],
  };
  await enterBackfill(pool, loaded, run);
  await mergeNextChunk({ pool, loaded, failpoints: () => {} }, run.id, { scopes: () => 1, mayFill: () => false });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
  await mended(pool, loaded);
});

test('a retry of the one puts the other into quarantine', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await move(pool, 'another');
  await deliver(pool, applier, { subscriptions: [[subscription(1), user(2)]] });
  await pool.query(`DELETE FROM lockstep.quarantine WHERE scope = ARRAY['${user(1)}']`);
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '22001' });
});

test('a row that is withheld where it belongs, because its parent is missing, and brought in where it was at the same time', async () => {
  await using world = await given(false);
  const { pool, loaded } = world;
  const revealing = held(pool, loaded, 'apply.before-commit');
  const revealed = deliver(pool, revealing.applier, { users: [[user(1)]] });
  await revealing.reached;
  await pool.query(`UPDATE subscriptions SET user_id = '${user(2)}' WHERE id = '${subscription(1)}';
    UPDATE users SET subscription_plan = 'gold' WHERE id = '${user(2)}'`);
  const refusing = held(pool, loaded, 'apply.before-commit');
  const refused = deliver(pool, refusing.applier, { subscriptions: [[subscription(1), user(2)]] });
  await refusing.reached;
  revealing.letGo();
  expect(await revealed).toEqual({ kind: 'done' });
  refusing.letGo();
  expect(await refused).toEqual({ kind: 'done' });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '55000', [user(2)]: '23503' });
});

test('a scope that was put right before that is said to keep a row does not go into quarantine', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await move(pool, 'another');
  const refusing = held(pool, loaded, 'apply.before-commit');
  const refused = deliver(pool, refusing.applier, { users: [[user(2)]] });
  await refusing.reached;
  await pool.query(`DELETE FROM subscriptions WHERE id = '${subscription(1)}'`);
  await deliver(pool, applier, { subscriptions: [[subscription(1), null]] });
  refusing.letGo();
  await refused;
  expect((await pool.query('SELECT FROM user_subscriptions WHERE id = $1', [subscription(1)])).rowCount).toBe(0);
  expect(await quarantined(pool)).toEqual({ [user(2)]: '22001' });
});

test('a scope of which the view itself raises an error goes into quarantine, and the applier goes on', async () => {
  await using world = await given(false);
  const { pool, applier } = world;
  // A month after the last one that can be told.
  await pool.query(`INSERT INTO users (id, email, created_at) VALUES ('${user(3)}', 'c', '294276-12-31 00:00:00+00')`);
  expect(await deliver(pool, applier, { users: [[user(3)]] })).toEqual({ kind: 'done' });
  expect(await quarantined(pool)).toEqual({ [user(3)]: '22008' });
});

test.each(['event', 'retry'])(
  'refused only where both scopes are merged together, each says so, also when it is tried again: %s',
  async (by) => {
    await using world = await given(true);
    const { pool, loaded, applier } = world;
    await move(pool, 'itself');
    const saying = async (attempts: number) => {
      const { rows } = await pool.query('SELECT sqlstate, message, attempts FROM lockstep.quarantine');
      const said = { sqlstate: '55000', message: expect.stringMatching(/another one.*value too long/), attempts };
      expect(rows).toEqual([said, said]);
    };
    await deliver(pool, applier, { subscriptions: [[subscription(1), user(2)]] });
    await saying(1);
    if (by === 'event') await deliver(pool, applier, { subscriptions: [[subscription(1), user(2)]] });
    else await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
    await saying(2);
    await mended(pool, loaded);
  },
);

test('where it belongs is said', async () => {
  await using world = await given(true);
  const { pool, applier } = world;
  await move(pool, 'another');
  await deliver(pool, applier, { subscriptions: [[subscription(1), user(2)]] });
  const { rows } = await pool.query(`SELECT detail FROM lockstep.quarantine WHERE scope = ARRAY['${user(1)}']`);
  expect(rows).toEqual([{ detail: `It belongs to (user_id)=(${user(2)}).` }]);
});

test('the scope that keeps it is refused as well: why, is said of each', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await move(pool, 'another');
  await pool.query(`UPDATE subscriptions SET stripe_subscription_id = ${tooLong} WHERE id = '${subscription(8)}'`);
  await deliver(pool, applier, { users: [[user(1)], [user(2)]] });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '22001', [user(2)]: '22001' });
  await mended(pool, loaded);
});

test('two scopes that keep rows of each other, and are both refused: each is looked at once', async () => {
  await using world = await given(true);
  const { pool, loaded, applier } = world;
  await pool.query(
    `INSERT INTO subscriptions (id, user_id, status) VALUES ('${subscription(2)}', '${user(2)}', 'cancelled')`,
  );
  await deliver(pool, applier, { subscriptions: [[subscription(2), user(2)]] });
  await pool.query(`
    UPDATE subscriptions SET user_id = CASE id WHEN '${subscription(1)}' THEN '${user(2)}'::uuid ELSE '${user(1)}' END
    WHERE id IN ('${subscription(1)}', '${subscription(2)}');
    UPDATE subscriptions SET stripe_subscription_id = ${tooLong} WHERE id IN ('${subscription(8)}', '${subscription(9)}')`);
  expect(await deliver(pool, applier, { subscriptions: [[subscription(8), user(1)]] })).toEqual({ kind: 'done' });
  expect(await quarantined(pool)).toEqual({ [user(1)]: '22001', [user(2)]: '22001' });
  await mended(pool, loaded);
});
