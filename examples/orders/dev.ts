import type { DevHooks } from '../../engine/migration/dev.ts';
import { statementTraffic } from '../../engine/migration/traffic.ts';

const someOrder = '(SELECT id FROM shop.orders ORDER BY random() LIMIT 1)';
const someEmail = "'user' || floor(random() * 50)::INTEGER || '@example.org'";

export const dev: DevHooks = {
  // Dirty on purpose: names that are missing or differ from order to order, totals below zero.
  async seed(client, { users }) {
    await client.query(
      `INSERT INTO shop.orders (id, customer_email, customer_name, street, zip, city, total_cents, note, ordered_at)
       SELECT n, 'user' || n % $1::INTEGER || '@example.org',
              CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'U. ' || n % $1 ELSE 'User ' || n % $1 END,
              n % 3 || ' Main Street', '1000' || n % 3, 'Town', CASE WHEN n % 23 = 0 THEN -100 ELSE 100 * n END,
              CASE WHEN n % 5 = 0 THEN 'leave at the door' END, timestamptz '2026-01-01 00:00:00Z' + n * INTERVAL '1 hour'
       FROM generate_series(1, 3 * $1) n
       ON CONFLICT (id) DO NOTHING`,
      [users],
    );
    await client.query(`SELECT setval('shop.orders_id_seq', greatest(1, (SELECT max(id) FROM shop.orders)))`);
  },
  traffic: (options) =>
    statementTraffic(options, [
      `INSERT INTO shop.orders (customer_email, customer_name, street, zip, city, total_cents)
       VALUES (${someEmail}, 'New name', floor(random() * 4) || ' Main Street', '10001', 'Town', floor(random() * 10000)::INTEGER - 100)`,
      `UPDATE shop.orders SET customer_email = ${someEmail} WHERE id = ${someOrder}`,
      `UPDATE shop.orders SET street = floor(random() * 4) || ' Side Street', zip = '10002' WHERE id = ${someOrder}`,
      `UPDATE shop.orders SET total_cents = abs(total_cents), customer_name = 'Married' WHERE id = ${someOrder}`,
      `DELETE FROM shop.orders WHERE id = ${someOrder}`,
    ]),
};
