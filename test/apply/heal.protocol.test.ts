import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { listQuarantine } from '../../engine/quarantine/quarantine.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const user = '00000000-0000-0000-0000-000000000001';
const subscription = '30000000-0000-0000-0000-000000000001';

test('a scope whose refused row was deleted leaves quarantine with later traffic', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  let nowMs = Date.now();
  const clock = { nowMs: () => nowMs, pauseMs: async () => {} };
  const applier = createApplier({ pool, loaded: await loadPhotomemory(pool), telemetry: silent, clock });
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${user}', 'e');
    INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id) VALUES ('${subscription}', '${user}', 'active', repeat('s', 300))`);
  await deliver(pool, applier, { subscriptions: [[subscription, user]] });
  expect((await listQuarantine(pool, 'forward', 10)).map(({ sqlState }) => sqlState)).toEqual(['22001']);

  // The event of a delete carries the key alone, and the target has never had the row: nobody can tell its scope.
  await pool.query('DELETE FROM subscriptions');
  await deliver(pool, applier, { subscriptions: [[subscription, null]] });
  expect(await listQuarantine(pool, 'forward', 10)).toHaveLength(1);

  await pool.query("UPDATE lockstep.quarantine SET last_failed_at = now() - interval '2 minutes'");
  nowMs += 60_000;
  expect(await applier.apply([], { deadlineMs: nowMs + 30_000 })).toEqual([]);
  expect(await listQuarantine(pool, 'forward', 10)).toEqual([]);
  expect((await pool.query('SELECT status FROM user_subscriptions')).rows).toEqual([{ status: 'active' }]);
});
