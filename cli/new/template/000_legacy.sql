-- The legacy schema, as the application has it today. Step 000 is applied on local and scratch databases only
-- (`lockstep dev`, `lockstep check`); a real database has these tables already. To use your own:
--   pg_dump --schema-only --no-owner --no-privileges --table legacy.tickets DATABASE > 000_legacy.sql

CREATE SCHEMA legacy;

CREATE TABLE legacy.tickets (
  -- squawk-ignore prefer-identity
  id BIGSERIAL PRIMARY KEY,
  title TEXT NOT NULL,
  -- 0 open, 1 in progress, 2 closed.
  state SMALLINT NOT NULL DEFAULT 0,
  -- 'urgent, billing': a list in a column.
  tags TEXT,
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
