-- The engine's own schema. It names nothing of any migration.
CREATE SCHEMA IF NOT EXISTS lockstep;

-- Which direction is the truth. One row; merges of the other direction stop (the fence).
CREATE TABLE lockstep.phase (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  phase text NOT NULL CHECK (phase IN ('forward', 'reverse', 'complete')),
  changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO lockstep.phase (phase) VALUES ('forward');

-- One row for each direction that has ever been captured. The epoch is raised by each listener that takes the slot,
-- so that one which has lost it, but does not know yet, can no longer write ledger entries.
CREATE TABLE lockstep.stream (
  direction text PRIMARY KEY CHECK (direction IN ('forward', 'reverse')),
  slot_name text NOT NULL,
  publication_name text NOT NULL,
  shards integer NOT NULL CHECK (shards BETWEEN 1 AND 4096),
  epoch bigint NOT NULL DEFAULT 0,
  slot_created_at timestamptz NOT NULL DEFAULT now(),
  listener_started_at timestamptz,
  listener_seen_at timestamptz
);

-- The ledger: a message is entered before it is sent, and struck out by the transaction that finished its work.
-- commit_lsn is the start of the earliest commit record of the changes it names.
CREATE TABLE lockstep.in_flight (
  id uuid PRIMARY KEY,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  direction text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('changes', 'truncate', 'backfill')),
  shard integer NOT NULL,
  commit_lsn pg_lsn NOT NULL,
  committed_at timestamptz NOT NULL,
  key_count integer NOT NULL,
  sent_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX in_flight_position ON lockstep.in_flight (direction, commit_lsn);

-- Scopes that could not be merged because of their data.
CREATE TABLE lockstep.quarantine (
  direction text NOT NULL,
  target text NOT NULL,
  scope text[] NOT NULL,
  sqlstate text NOT NULL,
  message text NOT NULL,
  detail text,
  first_failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts integer NOT NULL DEFAULT 1,
  PRIMARY KEY (direction, target, scope)
);

-- A run derives whole targets again, chunk by chunk; each target keeps its own cursor.
CREATE TABLE lockstep.backfill (
  id uuid PRIMARY KEY,
  direction text NOT NULL,
  reason text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  paused boolean NOT NULL DEFAULT false,
  -- When a queue was lost: entries up to this one are struck out when the run ends, since all they named is derived again.
  forgets_up_to_seq bigint
);
CREATE TABLE lockstep.backfill_target (
  backfill_id uuid NOT NULL REFERENCES lockstep.backfill (id) ON DELETE CASCADE,
  target text NOT NULL,
  ordinal integer NOT NULL,
  cursor text[],
  scopes_done bigint NOT NULL DEFAULT 0,
  scopes_estimated bigint NOT NULL DEFAULT 0,
  rows_written bigint NOT NULL DEFAULT 0,
  -- Rows that the view lacks but that other rows still referred to; they are deleted when those are gone.
  doomed_left boolean NOT NULL DEFAULT false,
  started_at timestamptz,
  finished_at timestamptz,
  PRIMARY KEY (backfill_id, target)
);
