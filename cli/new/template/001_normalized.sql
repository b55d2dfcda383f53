-- The normalized schema. Its keys are derived from legacy keys; what the application inserts after a cutover draws from
-- the same sequence, so that the two never meet. Constraints that two rows can break half-way are DEFERRABLE.

CREATE SCHEMA tracker;

CREATE TABLE tracker.tickets (
  id BIGINT PRIMARY KEY DEFAULT nextval('legacy.tickets_id_seq'),
  title TEXT NOT NULL CHECK (length(title) <= 200),
  status TEXT NOT NULL CHECK (status IN ('open', 'in progress', 'closed')),
  updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE tracker.ticket_tags (
  ticket_id BIGINT NOT NULL REFERENCES tracker.tickets (id),
  position INTEGER NOT NULL CHECK (position > 0),
  -- What a comma-separated list can hold, so that the way back loses nothing.
  tag TEXT NOT NULL CHECK (tag <> '' AND tag = btrim(tag) AND strpos(tag, ',') = 0),
  PRIMARY KEY (ticket_id, position)
);
