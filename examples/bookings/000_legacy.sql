-- A bank's bookings: keys of several columns, numbers from each branch's own count.

CREATE SCHEMA bank;

CREATE TABLE bank.accounts (
  branch_no SMALLINT NOT NULL,
  account_no BIGINT NOT NULL,
  holder TEXT NOT NULL,
  -- 'G' giro, 'S' savings.
  -- squawk-ignore ban-char-field
  kind CHAR(1) NOT NULL,
  PRIMARY KEY (branch_no, account_no)
);

CREATE TABLE bank.bookings (
  branch_no SMALLINT NOT NULL,
  booking_no BIGINT NOT NULL,
  debit_account BIGINT NOT NULL,
  credit_account BIGINT NOT NULL,
  amount NUMERIC(14,2) NOT NULL,
  booked_on DATE NOT NULL,
  memo TEXT,
  PRIMARY KEY (branch_no, booking_no)
);
