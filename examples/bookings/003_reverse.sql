CREATE SCHEMA lockstep_reverse;

CREATE VIEW lockstep_reverse.accounts AS
SELECT branch_no, account_no, holder, CASE kind WHEN 'giro' THEN 'G' WHEN 'savings' THEN 'S' END::CHAR(1) AS kind
FROM ledger.accounts;

CREATE VIEW lockstep_reverse.bookings AS
SELECT
  d.branch_no,
  d.booking_no,
  d.account_no AS debit_account,
  c.account_no AS credit_account,
  d.amount,
  d.booked_on,
  d.memo
FROM ledger.entries d
JOIN ledger.entries c ON c.branch_no = d.branch_no AND c.booking_no = d.booking_no AND c.side = 'credit'
WHERE d.side = 'debit';

-- A legacy booking has two sides, and one amount, date and memo.
CREATE VIEW lockstep_reverse.losses AS
SELECT
  'entries' AS target,
  ARRAY[e.branch_no::TEXT, e.booking_no::TEXT, e.side] AS key,
  NULL::TEXT AS column_name,
  'a booking without its other side is nowhere in legacy' AS reason
FROM ledger.entries e
WHERE NOT EXISTS (
  SELECT FROM ledger.entries o WHERE o.branch_no = e.branch_no AND o.booking_no = e.booking_no AND o.side <> e.side
)
UNION ALL
SELECT
  'entries',
  ARRAY[e.branch_no::TEXT, e.booking_no::TEXT, e.side],
  differing.column_name,
  'both sides of a booking share one amount, date and memo'
FROM ledger.entries e
JOIN ledger.entries o ON o.branch_no = e.branch_no AND o.booking_no = e.booking_no AND o.side = 'debit'
CROSS JOIN LATERAL (
  VALUES
    ('amount', e.amount <> o.amount), ('booked_on', e.booked_on <> o.booked_on), ('memo', e.memo IS DISTINCT FROM o.memo)
) AS differing (column_name, differs)
WHERE e.side = 'credit' AND differing.differs;
