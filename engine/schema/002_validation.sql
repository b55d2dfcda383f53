-- A validation compares every row of every target with its view, in as many invocations as it takes.
CREATE TABLE lockstep.validation (
  id uuid PRIMARY KEY,
  direction text NOT NULL CHECK (direction IN ('forward', 'reverse')),
  -- In dependency order.
  targets text[] NOT NULL,
  -- Of the scopes; NULL: all of them.
  sample_percent double precision CHECK (sample_percent > 0 AND sample_percent < 100),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  invocations integer NOT NULL DEFAULT 0,
  spent_ms double precision NOT NULL DEFAULT 0,
  -- How long the barrier took with which the last invocation began.
  lag_ms double precision,
  verdict text CHECK (verdict IN ('agrees', 'differs', 'unproven')),
  -- As of its last invocation, for the trend; the drift table tells the present only.
  rows_drifted bigint NOT NULL DEFAULT 0,
  rows_quarantined bigint NOT NULL DEFAULT 0,
  checks jsonb NOT NULL DEFAULT '[]',
  repair jsonb
);
CREATE INDEX validation_history ON lockstep.validation (direction, started_at DESC);

CREATE TABLE lockstep.validation_target (
  validation_id uuid NOT NULL REFERENCES lockstep.validation (id) ON DELETE CASCADE,
  target text NOT NULL,
  ordinal integer NOT NULL,
  -- Every scope up to this one is compared and settled.
  cursor text[],
  rows_compared bigint NOT NULL DEFAULT 0,
  rows_expected bigint NOT NULL DEFAULT 0,
  rows_present bigint NOT NULL DEFAULT 0,
  scopes_unsettled bigint NOT NULL DEFAULT 0,
  -- Some of them: scopes, each a list of text.
  unsettled jsonb NOT NULL DEFAULT '[]',
  finished_at timestamptz,
  PRIMARY KEY (validation_id, target)
);

-- Rows on which view and target do not agree, proved; and rows of quarantined scopes, which are known not to.
CREATE TABLE lockstep.drift (
  direction text NOT NULL,
  target text NOT NULL,
  key text[] NOT NULL,
  kind text NOT NULL CHECK (kind IN ('missing', 'extra', 'different')),
  scope text[] NOT NULL,
  found_in_scope text[],
  quarantined boolean NOT NULL,
  -- By column {"expected", "present"}, of those that differ, in the table's order.
  columns json NOT NULL,
  reason text NOT NULL,
  -- The validation that saw it last.
  validation_id uuid NOT NULL,
  first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When it was found to agree again, and what made it so.
  ended_at timestamptz,
  ended_by text CHECK (ended_by IN ('repair', 'synchronization')),
  PRIMARY KEY (direction, target, key)
);
CREATE INDEX drift_of_validation ON lockstep.drift (validation_id, target);
