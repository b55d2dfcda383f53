import { expect, test } from 'vitest';
import type { Migration } from '../../engine/migration/contract.ts';
import { migration as warehouse } from '../migrations/warehouse/migration.ts';
import { testDatabase } from '../support/database.ts';
import { differences } from '../support/differences.ts';
import { runEngineSchema } from '../support/photomemory.ts';
import { warehouseTemplate } from '../support/warehouse.ts';
import { synchronize } from './support.ts';

test('composite keys, odd names and columns without equality are compared as well', async () => {
  await using database = await testDatabase({ template: warehouseTemplate });
  const { pool } = database;
  await pool.query(`
    INSERT INTO "Old Shop".stock SELECT 'sku ' || n, n FROM generate_series(1, 5) n;
    INSERT INTO "Old Shop"."Preis" SELECT 'sku ' || n, date '2026-01-01' + n, n FROM generate_series(1, 4) n;
    INSERT INTO "Old Shop"."order line" (order_no, "line №", "customer e-mail", customer_name, sku, price, note)
      SELECT o, l, 'c' || o || '@example.org', 'Name ' || o, 'sku ' || 1 + (o + l) % 5, l, 'it''s "' || l
      FROM generate_series(9007199254740993, 9007199254741002) o, generate_series(1, 3) l`);
  await using sync = await synchronize(database, warehouse);
  expect(await sync.validate()).toMatchObject({ agrees: true });

  await pool.query(`
    UPDATE new_shop.order_lines SET note = '{"note" : "it''s \\"1", "more": 1}' WHERE order_no = 9007199254740993 AND line_no = 1;
    UPDATE new_shop.order_lines SET line_no = 7 WHERE order_no = 9007199254740994 AND line_no = 3;
    UPDATE new_shop.orders SET total = total + 0.01 WHERE order_no = 9007199254740995;
    UPDATE new_shop.products SET price = 0 WHERE sku = 'sku 5';
    DELETE FROM new_shop.sku_customers WHERE email = 'c9007199254740996@example.org' AND sku = (SELECT min(sku) FROM new_shop.sku_customers WHERE email = 'c9007199254740996@example.org');
    INSERT INTO new_shop.sku_customers VALUES ('sku ''"', 'nobody', 1);
    INSERT INTO new_shop.customers VALUES ('nobody', 'n', 0);
    INSERT INTO new_shop.orders VALUES (5, 'nobody', 0);
    INSERT INTO new_shop.order_lines VALUES (5, 1, 1, 'sku 1', 1)`);
  const report = await sync.validate({ repair: true });
  const found = report.targets.map(({ target, drift }) => [
    target,
    drift.map(({ kind, key, columns }) => [kind, Object.values(key).join(), Object.keys(columns).join()]),
  ]);
  expect(Object.fromEntries(found)).toEqual({
    customers: [['extra', 'nobody', 'email,name,line_count']],
    orders: [
      ['extra', '5', 'order_no,email,total'],
      ['different', '9007199254740995', 'total'],
    ],
    order_lines: [
      ['extra', '5,1', 'order_no,line_no,position,sku,quantity,note'],
      ['different', '9007199254740993,1', 'note'],
      ['missing', '9007199254740994,3', 'order_no,line_no,position,sku,quantity,note'],
      ['extra', '9007199254740994,7', 'order_no,line_no,position,sku,quantity,note'],
    ],
    products: [['different', 'sku 5', 'price']],
    sku_customers: [
      ['extra', `sku '",nobody`, 'sku,email,lines'],
      ['missing', expect.stringContaining(',c9007199254740996@example.org'), 'sku,email,lines'],
    ],
  });
  expect(report).toMatchObject({ agrees: true, repair: { rows: 10, quarantined: 0 } });
  expect(await differences(pool, sync.loaded)).toEqual({});
});

/** One table for both sides' columns: the engine owns one of them. */
const shared: Migration = {
  name: 'shared table',
  forward: {
    sources: [{ name: 'plans', relation: { schema: 'public', name: 'plans' }, key: ['user_id'], routing: [] }],
    targets: [
      {
        name: 'users',
        relation: { schema: 'public', name: 'users' },
        view: { schema: 'public', name: 'expected_users' },
        scope: ['id'],
        writes: 'columns',
        scopesOf: { plans: 'SELECT user_id FROM changed' },
        walk: [{ relation: { schema: 'public', name: 'plans' }, columns: ['user_id'] }],
      },
    ],
  },
};

test('of a table shared with others only the rows and columns that the view speaks of are compared', async () => {
  await using database = await testDatabase();
  const { pool } = database;
  await runEngineSchema(pool);
  await pool.query(`
    CREATE TABLE plans (user_id integer PRIMARY KEY, plan text);
    CREATE TABLE users (id integer PRIMARY KEY, plan text, name text);
    CREATE VIEW expected_users AS SELECT user_id AS id, plan FROM plans;
    INSERT INTO users SELECT n, 'none', 'user ' || n FROM generate_series(1, 4) n;
    INSERT INTO plans VALUES (1, 'free'), (2, NULL), (9, 'of nobody')`);
  await using sync = await synchronize(database, shared);
  const agreeing = await sync.validate();
  expect(agreeing).toMatchObject({ agrees: true, targets: [{ compared: 2, expected: 2, present: 2 }] });

  await pool.query(
    `UPDATE users SET name = 'anything' WHERE id = 1; UPDATE users SET plan = '' WHERE id = 2; UPDATE users SET plan = 'own' WHERE id = 3`,
  );
  const report = await sync.validate({ repair: true });
  expect(report.targets[0]?.drift).toMatchObject([
    { kind: 'different', key: { id: '2' }, columns: { plan: { expected: null, present: '' } } },
  ]);
  expect(report).toMatchObject({ agrees: true, repair: { updated: 1, inserted: 0, deleted: 0 } });
  expect((await pool.query('SELECT plan, name FROM users ORDER BY id')).rows).toEqual([
    { plan: 'free', name: 'anything' },
    { plan: null, name: 'user 2' },
    { plan: 'own', name: 'user 3' },
    { plan: 'none', name: 'user 4' },
  ]);
});
