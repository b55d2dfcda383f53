import type { Random } from '../../engine/random.ts';
import { migration as warehouse } from '../migrations/warehouse/migration.ts';
import { warehouseTemplate } from '../support/warehouse.ts';
import type { World } from './converge.ts';

const table = '"Old Shop"."order line"';
const order = (r: Random) => String(9_000_000_000 + r.integer(5));
const line = (r: Random) => String(1 + r.integer(3));
const email = (r: Random) => `'c${r.integer(4)}@example.org'`;
const sku = (r: Random) => `'sku ${r.integer(4)}'`;

const statements: readonly ((random: Random) => string)[] = [
  (r) => `INSERT INTO ${table} (order_no, "line №", "customer e-mail", customer_name, sku, "select", price, note)
          VALUES (${order(r)}, ${line(r)}, ${email(r)}, ${r.pick([`'A'`, `'B'`, 'NULL'])}, ${sku(r)}, ${r.pick(['-1', '1', '2', '3'])}, ${r.integer(9)}.25, 'n')
          ON CONFLICT (order_no, "line №") DO UPDATE SET "customer e-mail" = excluded."customer e-mail", sku = excluded.sku, "select" = excluded."select", customer_name = excluded.customer_name`,
  (r) => `UPDATE ${table} SET "customer e-mail" = ${email(r)} WHERE order_no = ${order(r)}`,
  (r) => `UPDATE ${table} SET sku = ${sku(r)} WHERE order_no = ${order(r)} AND "line №" = ${line(r)}`,
  (r) => `UPDATE ${table} SET order_no = ${order(r)} WHERE order_no = ${order(r)} AND "line №" = ${line(r)}`,
  (r) => `UPDATE ${table} SET customer_name = 'C' WHERE customer_name IS NULL AND order_no = ${order(r)}`,
  (r) => `DELETE FROM ${table} WHERE order_no = ${order(r)} AND "line №" = ${line(r)}`,
  (r) => `DELETE FROM ${table} WHERE "customer e-mail" = ${email(r)} AND order_no = ${order(r)}`,
  (r) =>
    `INSERT INTO "Old Shop"."Preis" VALUES (${sku(r)}, date '2026-01-01' + ${r.integer(3)}, ${r.integer(99)}) ON CONFLICT (sku, valid_from) DO UPDATE SET amount = excluded.amount`,
  (r) => `DELETE FROM "Old Shop"."Preis" WHERE sku = ${sku(r)} AND valid_from = date '2026-01-01' + ${r.integer(3)}`,
  (r) =>
    `INSERT INTO "Old Shop".stock VALUES (${sku(r)}, ${r.integer(99)}) ON CONFLICT (sku) DO UPDATE SET quantity = excluded.quantity`,
  (r) => `DELETE FROM "Old Shop".stock WHERE sku = ${sku(r)}`,
  (r) => (r.chance(0.03) ? `TRUNCATE ${table}` : 'SELECT 1'),
];

export const warehouseWorld: World = {
  template: warehouseTemplate,
  migration: warehouse,
  statement: (random) => random.pick(statements)(random),
};
