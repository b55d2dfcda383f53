import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { runBackfill } from '../../engine/backfill/run.ts';
import { withConnection } from '../../engine/connection.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { listQuarantine } from '../../engine/quarantine/quarantine.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration as warehouse } from '../migrations/warehouse/migration.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { warehouseTemplate } from '../support/warehouse.ts';

async function world() {
  const database = await testDatabase({ template: warehouseTemplate });
  const { pool } = database;
  const loaded = await loadDirection(pool, 'forward', warehouse.forward);
  await pool.query(`
    INSERT INTO "Old Shop".stock SELECT 'sku ' || n, n FROM generate_series(1, 5) n;
    INSERT INTO "Old Shop"."Preis" SELECT 'sku ' || n, date '2026-01-01' + n, n FROM generate_series(1, 5) n;
    INSERT INTO "Old Shop"."order line" (order_no, "line №", "customer e-mail", customer_name, sku, "select", price)
      SELECT 9000000000 + n / 3, n % 3, 'c' || n % 4 || '@example.org', 'C' || n, 'sku ' || n % 5 + 1, n, 1.25 FROM generate_series(1, 30) n;`);
  return {
    ...database,
    pool,
    loaded,
    applier: createApplier({ pool, loaded, telemetry: silent }),
    [Symbol.asyncDispose]: database[Symbol.asyncDispose].bind(database),
  };
}

async function backfill(w: Awaited<ReturnType<typeof world>>): Promise<string> {
  const runId = randomUUID();
  await withConnection(w.pool, async (client) => {
    await client.query('BEGIN');
    await enterBackfill(client, w.loaded, {
      id: runId,
      direction: 'forward',
      reason: 'test',
      targets: w.loaded.targets.map(({ name }) => name),
    });
    await client.query('COMMIT');
  });
  return await runBackfill({
    pool: w.pool,
    loaded: w.loaded,
    runId,
    telemetry: silent,
    deadlineMs: Date.now() + 30_000,
  });
}

test('backfill through composite keys and scopes, quoted names, and many rows to one', async () => {
  await using w = await world();
  expect(await backfill(w)).toBe('finished');
  expect(await differences(w.pool, w.loaded)).toEqual({});
  expect((await w.pool.query('SELECT count(*)::int AS n FROM new_shop.order_lines')).rows[0].n).toBe(30);
});

test('a line that changes hands is taken from one customer and given to the other', async () => {
  await using w = await world();
  await backfill(w);
  await w.pool.query(
    `UPDATE "Old Shop"."order line" SET "customer e-mail" = 'new@example.org', sku = 'sku 1' WHERE order_no = 9000000002 AND "line №" = 1`,
  );
  const { rows } = await w.pool.query(`SELECT DISTINCT email, sku FROM new_shop.sku_customers`);
  expect(rows.length).toBeGreaterThan(1);
  // The old row's columns come with the event, because they are part of the replica identity.
  await deliver(w.pool, w.applier, {
    line: [
      ['9000000002', '1', 'c3@example.org', 'sku 3'],
      ['9000000002', '1', 'new@example.org', 'sku 1'],
    ],
  });
  expect(await differences(w.pool, w.loaded)).toEqual({});
});

test('an order that loses its last line goes, and its customer goes after it', async () => {
  await using w = await world();
  await backfill(w);
  await w.pool.query(`DELETE FROM "Old Shop"."order line" WHERE "customer e-mail" = 'c1@example.org'`);
  // Each line is named with its former customer, in one message for all; parents go after children.
  const rows = Array.from({ length: 30 }, (_, n) => n + 1)
    .filter((n) => n % 4 === 1)
    .map((n) => [String(9000000000 + Math.floor(n / 3)), String(n % 3), 'c1@example.org', `sku ${(n % 5) + 1}`]);
  await deliver(w.pool, w.applier, { line: rows });
  expect(await differences(w.pool, w.loaded)).toEqual({});
  expect(await listQuarantine(w.pool, 'forward', 10)).toEqual([]);
  expect((await w.pool.query(`SELECT FROM new_shop.customers WHERE email = 'c1@example.org'`)).rowCount).toBe(0);
});

test('a customer whose order is still held by a row that another message will change: both are merged', async () => {
  await using w = await world();
  await w.pool.query(
    `INSERT INTO "Old Shop"."order line" (order_no, "line №", "customer e-mail", customer_name, sku) VALUES (1, 1, 'only@example.org', 'O', 'sku 1')`,
  );
  await backfill(w);
  await w.pool.query(`UPDATE "Old Shop"."order line" SET "customer e-mail" = 'c1@example.org' WHERE order_no = 1`);
  // A limit of one scope for each transaction: the customer cannot be deleted together with the change of the order.
  const applier = createApplier({
    pool: w.pool,
    loaded: w.loaded,
    telemetry: silent,
    limits: { rowsPerTransaction: 1, scopesPerTransaction: 1 },
  });
  await deliver(w.pool, applier, {
    line: [
      ['1', '1', 'only@example.org', 'sku 1'],
      ['1', '1', 'c1@example.org', 'sku 1'],
    ],
  });
  expect(await differences(w.pool, w.loaded)).toEqual({});
  expect(await listQuarantine(w.pool, 'forward', 10)).toEqual([]);
});

test('a row that a check refuses is quarantined with its scope, and nothing else is', async () => {
  await using w = await world();
  await backfill(w);
  await w.pool.query(
    `UPDATE "Old Shop"."order line" SET "select" = -1 WHERE order_no = 9000000002 AND "line №" = 1; UPDATE "Old Shop"."order line" SET note = 'hello'`,
  );
  await backfill(w);
  expect(await differences(w.pool, w.loaded)).toEqual({});
  expect(
    (await listQuarantine(w.pool, 'forward', 10)).map(({ target, scope, sqlState }) => [target, scope, sqlState]),
  ).toEqual([['order_lines', ['9000000002'], '23514']]);
});
