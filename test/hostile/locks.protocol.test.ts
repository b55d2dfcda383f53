import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { lockName } from '../../engine/locks.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';
import { engineSchema } from '../capture/support.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { changes } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';

const at = (name: string) => ({ schema: 'public', name });

/** Bills of a customer, who is named by a value of this type. */
const migration: Migration = {
  name: 'bills',
  forward: {
    sources: [{ name: 'bills', relation: at('bills'), key: ['id'], routing: ['customer'] }],
    targets: [
      {
        name: 'customers',
        relation: at('customers'),
        view: at('expected_customers'),
        scope: ['customer'],
        writes: 'rows',
        scopesOf: {
          bills: 'SELECT customer FROM changed UNION SELECT b.customer FROM changed c JOIN bills b ON b.id = c.id',
        },
        walk: [{ relation: at('bills'), columns: ['customer'] }],
      },
    ],
  },
};

async function bills(type: string, rows: string): Promise<TestDatabase> {
  const database = await testDatabase({ template: engineSchema });
  await database.pool.query(`
    ${type === 'folded' ? `CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);` : ''}
    CREATE DOMAIN customer_name AS ${type === 'folded' ? 'text COLLATE folded' : type};
    CREATE TABLE bills (id int PRIMARY KEY, customer customer_name);
    CREATE TABLE customers (customer customer_name PRIMARY KEY, bills bigint);
    CREATE VIEW expected_customers AS SELECT min(customer::text)::customer_name AS customer, count(*) AS bills FROM bills GROUP BY customer;
    INSERT INTO bills VALUES ${rows}`);
  return database;
}

test.each([
  ['numeric', "(1, '1.0'), (2, '1.00')", '1.0', '1.00'],
  ['float8', "(1, '0'), (2, '-0')", '0', '-0'],
  ['interval', "(1, '1 mon'), (2, '30 days')", '1 mon', '30 days'],
  ['folded', "(1, 'Anna'), (2, 'ANNA')", 'Anna', 'ANNA'],
])('merges of one scope wait for each other, whatever texts of type %s name it', async (type, rows, one, other) => {
  await using database = await bills(type, rows);
  const { pool } = database;
  const loaded = await loadDirection(pool, 'forward', migration.forward);
  const locked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const first = createApplier({
    pool,
    loaded,
    telemetry: silent,
    failpoints: async (point) => {
      if (point !== 'apply.scopes-locked') return;
      locked.resolve();
      await goOn.promise;
    },
  });
  const second = createApplier({ pool, loaded, telemetry: silent });
  const deadline = { deadlineMs: Date.now() + 30_000 };
  // Only the routing value says where the row is: it is deleted meanwhile.
  const applying = first.apply([await changes(pool, { bills: [['1', one]] })], deadline);
  await locked.promise;
  await pool.query('DELETE FROM bills WHERE id = 1');
  const behind = second.apply([await changes(pool, { bills: [['2', other]] })], deadline);
  const waiting = eventually(
    async () =>
      (
        await pool.query(
          "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
      ).rowCount,
    { intervalMs: 2 },
  );
  expect(await Promise.race([waiting.then(() => 'waits'), behind.then(() => 'has not waited')])).toBe('waits');
  goOn.resolve();
  expect(await applying).toEqual([{ kind: 'done' }]);
  expect(await behind).toEqual([{ kind: 'done' }]);
  expect(await differences(pool, loaded)).toEqual({});
});

test('equal numbers have one name in a lock, and different ones have two', () => {
  for (const text of ['1', '1.0', '1.000']) expect(lockName(text, 'number')).toBe('1');
  expect(['100', '1.10', '-0', '0.00', '1e+20', 'NaN', '-1.50'].map((text) => lockName(text, 'number'))).toEqual([
    '100',
    '1.1',
    '0',
    '0',
    '1e+20',
    'NaN',
    '-1.5',
  ]);
  expect(lockName('1.0', 'text')).toBe('1.0');
  expect(lockName('Anna', 'nothing')).toBe(lockName('ANNA', 'nothing'));
});
