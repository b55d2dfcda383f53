import { readFile } from 'node:fs/promises';
import type { Pool } from 'pg';
import { expect, test } from 'vitest';
import { seedLegacy } from '../../sql/seed.ts';
import { peopleActions } from '../../sql/traffic/people.ts';
import { projectActions } from '../../sql/traffic/projects.ts';
import { random } from '../../sql/traffic/random.ts';
import { transact } from '../../sql/traffic/transaction.ts';
import { startTraffic } from '../../sql/traffic.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const legacy = {
  name: 'legacy_seeded_for_traffic',
  build: async (pool: Pool) => {
    await pool.query(await readFile(new URL('../../sql/000_legacy_schema.sql', import.meta.url), 'utf8'));
    const client = await pool.connect();
    await seedLegacy(client, { users: 30 });
    client.release();
  },
};

test('every action works on seeded data, and changes a row when it finds one', async () => {
  await using database = await testDatabase({ template: legacy });
  const client = await database.client();
  for (const [index, action] of [...peopleActions, ...projectActions].entries()) {
    let changed = 0;
    for (let stream = 0; stream < 8; stream++) {
      const outcome = await transact(client, random(7, index * 8 + stream), () => action).catch(
        (error: { code?: string }) => {
          if (error.code !== '23503') throw error;
        },
      );
      if (outcome?.committed) changed += outcome.changes;
    }
    expect(changed, action.run.name).toBeGreaterThan(0);
  }
});

test('one seed makes one history', async () => {
  const histories = await Promise.all(
    [1, 1, 2].map(async (seed) => {
      await using database = await testDatabase({ template: legacy });
      const client = await database.client();
      const actions = [...peopleActions, ...projectActions];
      for (let stream = 0; stream < 60; stream++) {
        const dice = random(seed, stream);
        await transact(client, dice, () => dice.pick(actions as [(typeof actions)[0], ...typeof actions])).catch(
          (error: { code?: string }) => {
            if (error.code !== '23503') throw error;
          },
        );
      }
      const { rows } = await client.query('SELECT id, project_id, upload_order, file_url FROM photos ORDER BY id');
      return JSON.stringify(rows);
    }),
  );
  expect(histories[0] === histories[1]).toBe(true);
  expect(histories[0] === histories[2]).toBe(false);
});

test('traffic keeps its rate, commits, rolls back, and makes no errors', async () => {
  await using database = await testDatabase({ template: legacy });
  const errors: unknown[] = [];
  const startedAtMs = performance.now();
  await using traffic = startTraffic({
    pool: database.pool,
    transactionsPerSecond: 300,
    onError: (error) => errors.push(error),
  });
  await eventually(() => traffic.counts.transactions >= 400 && traffic.counts.rolledBack > 0, { timeoutMs: 30_000 });
  const counts = await traffic.stop();
  const elapsedMs = performance.now() - startedAtMs;
  expect(errors).toEqual([]);
  expect(counts.transactions + counts.rolledBack).toBeLessThanOrEqual(Math.ceil((elapsedMs * 300) / 1000) + 1);
  expect(counts.changes).toBeGreaterThan(counts.transactions);
  const after = await traffic.stop();
  expect(after).toEqual(counts);
});

test('no traffic is no transaction', async () => {
  await using database = await testDatabase({ template: legacy });
  const traffic = startTraffic({ pool: database.pool, transactionsPerSecond: 0 });
  expect(await traffic.stop()).toEqual({ transactions: 0, changes: 0, rolledBack: 0, errors: 0 });
});
