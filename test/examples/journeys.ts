import type { Journey } from './lifecycle.ts';

const orders: Journey = {
  folder: 'examples/orders',
  mend: 'UPDATE shop.orders SET total_cents = 0 WHERE total_cents < 0',
  toLegacy: `
    DELETE FROM shop.orders WHERE id IN (3, 900001);
    UPDATE shop.orders SET customer_email = 'moved@example.org' WHERE id = 5;
    INSERT INTO shop.orders (id, customer_email, customer_name, street, zip, city, total_cents, ordered_at)
    VALUES (900001, 'new@example.org', 'New', '1 Street', '10001', 'Town', 500, '2026-06-01 00:00:00Z')`,
  forward: [
    `SELECT o.id, c.email, c.name, a.street FROM sales.orders o JOIN sales.customers c ON c.email = o.customer_email
     JOIN sales.addresses a ON a.customer_email = o.customer_email AND a.id = o.address_id
     WHERE o.id IN (3, 5, 900001) ORDER BY o.id`,
    [
      { id: '5', email: 'moved@example.org', name: 'User 5', street: '2 Main Street' },
      { id: '900001', email: 'new@example.org', name: 'New', street: '1 Street' },
    ],
  ],
  // The address of order 101 was nobody else's, and the new order draws its number from legacy's own sequence.
  toNormalized: `
    UPDATE sales.customers SET name = 'Renamed' WHERE email = 'user1@example.org';
    UPDATE sales.orders SET note = 'ring twice' WHERE id = 1;
    DELETE FROM sales.orders WHERE id = 101;
    DELETE FROM sales.addresses a WHERE NOT EXISTS (SELECT FROM sales.orders o WHERE o.address_id = a.id);
    INSERT INTO sales.orders (customer_email, address_id, total_cents, ordered_at)
    SELECT customer_email, id, 777, '2026-07-01 00:00:00Z' FROM sales.addresses
    WHERE customer_email = 'user2@example.org' ORDER BY id LIMIT 1`,
  back: [
    'SELECT id, customer_name, note, total_cents FROM shop.orders WHERE id IN (1, 51, 101, 151) ORDER BY id',
    [
      { id: '1', customer_name: 'Renamed', note: 'ring twice', total_cents: 100 },
      { id: '51', customer_name: 'Renamed', note: null, total_cents: 5100 },
      { id: '151', customer_name: 'User 2', note: null, total_cents: 777 },
    ],
  ],
  toNormalizedAtTheEnd: "UPDATE sales.customers SET name = 'At the end' WHERE email = 'user4@example.org'",
  restored: [
    "SELECT DISTINCT customer_name FROM shop.orders WHERE customer_email = 'user4@example.org'",
    [{ customer_name: 'At the end' }],
  ],
  refusedByGuard: "UPDATE shop.orders SET note = 'too late'",
  legacyTables: ['shop.orders'],
};

const bookings: Journey = {
  folder: 'examples/bookings',
  mend: `
    UPDATE bank.accounts SET kind = 'G' WHERE kind = 'X';
    UPDATE bank.bookings SET amount = 1 WHERE amount <= 0;
    INSERT INTO bank.accounts SELECT branch_no, account_no, 'Found', 'G' FROM lockstep_forward.unknown_accounts`,
  toLegacy: `
    DELETE FROM bank.bookings WHERE (branch_no, booking_no) IN ((9, 900001), (1, 3));
    INSERT INTO bank.accounts VALUES (9, 7000000001, 'Ann', 'G'), (9, 7000000002, 'Bob', 'S') ON CONFLICT DO NOTHING;
    INSERT INTO bank.bookings VALUES (9, 900001, 7000000001, 7000000002, 12.50, '2026-05-01', 'gift')`,
  forward: [
    `SELECT booking_no, side, account_no, amount, memo FROM ledger.entries
     WHERE (branch_no, booking_no) IN ((9, 900001), (1, 3)) ORDER BY side`,
    [
      { booking_no: '900001', side: 'credit', account_no: '7000000002', amount: '12.50', memo: 'gift' },
      { booking_no: '900001', side: 'debit', account_no: '7000000001', amount: '12.50', memo: 'gift' },
    ],
  ],
  toNormalized: `
    INSERT INTO ledger.accounts VALUES (9, 7000000003, 'Cem', 'savings');
    INSERT INTO ledger.entries VALUES (9, 900002, 'debit', 7000000003, 8, '2026-05-02', NULL),
      (9, 900002, 'credit', 7000000001, 8, '2026-05-02', NULL);
    UPDATE ledger.entries SET amount = 99 WHERE (branch_no, booking_no) = (3, 5);
    DELETE FROM ledger.entries WHERE (branch_no, booking_no) = (2, 1)`,
  back: [
    `SELECT booking_no, debit_account, credit_account, amount FROM bank.bookings
     WHERE (branch_no, booking_no) IN ((9, 900002), (3, 5), (2, 1)) ORDER BY booking_no`,
    [
      { booking_no: '5', debit_account: '1000000005', credit_account: '1000000008', amount: '99.00' },
      { booking_no: '900002', debit_account: '7000000003', credit_account: '7000000001', amount: '8.00' },
    ],
  ],
  toNormalizedAtTheEnd: 'UPDATE ledger.accounts SET holder = $$At the end$$ WHERE account_no = 7000000001',
  restored: ['SELECT holder FROM bank.accounts WHERE account_no = 7000000001', [{ holder: 'At the end' }]],
  refusedByGuard: "UPDATE bank.accounts SET holder = 'too late'",
  legacyTables: ['bank.accounts', 'bank.bookings'],
};

export const journeys: readonly Journey[] = [orders, bookings];
