CREATE SCHEMA ledger;

CREATE TABLE ledger.accounts (
  branch_no SMALLINT NOT NULL,
  account_no BIGINT NOT NULL,
  holder TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('giro', 'savings')),
  PRIMARY KEY (branch_no, account_no)
);

-- Each booking is two entries.
CREATE TABLE ledger.entries (
  branch_no SMALLINT NOT NULL,
  booking_no BIGINT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('debit', 'credit')),
  account_no BIGINT NOT NULL,
  amount NUMERIC(14,2) NOT NULL CHECK (amount > 0),
  booked_on DATE NOT NULL,
  memo TEXT,
  PRIMARY KEY (branch_no, booking_no, side),
  FOREIGN KEY (branch_no, account_no) REFERENCES ledger.accounts (branch_no, account_no)
);
CREATE INDEX entries_account ON ledger.entries (branch_no, account_no);
