CREATE SCHEMA lockstep_forward;

CREATE VIEW lockstep_forward.accounts AS
SELECT branch_no, account_no, holder, CASE kind WHEN 'G' THEN 'giro' WHEN 'S' THEN 'savings' END AS kind
FROM bank.accounts;

CREATE VIEW lockstep_forward.entries AS
SELECT b.branch_no, b.booking_no, entry.side, entry.account_no, b.amount, b.booked_on, b.memo
FROM bank.bookings b
CROSS JOIN LATERAL (VALUES ('debit', b.debit_account), ('credit', b.credit_account)) AS entry (side, account_no);

CREATE VIEW lockstep_forward.unknown_accounts AS
SELECT DISTINCT e.branch_no, e.account_no
FROM lockstep_forward.entries e
WHERE NOT EXISTS (
  SELECT FROM bank.accounts a WHERE a.branch_no = e.branch_no AND a.account_no = e.account_no
);
