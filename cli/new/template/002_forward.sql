-- What the normalized tables hold, given what the legacy tables hold now. Backfill, live changes, validation and repair
-- all read these views. A view has the columns of its table that are derived, in any order.

CREATE SCHEMA lockstep_forward;

CREATE VIEW lockstep_forward.tickets AS
SELECT
  t.id,
  t.title,
  -- A state that nobody knows becomes NULL, which the table refuses: that ticket is quarantined alone.
  CASE t.state WHEN 0 THEN 'open' WHEN 1 THEN 'in progress' WHEN 2 THEN 'closed' END AS status,
  t.updated_at
FROM legacy.tickets t;

CREATE VIEW lockstep_forward.ticket_tags AS
SELECT
  t.id AS ticket_id,
  row_number() OVER (PARTITION BY t.id ORDER BY list.place)::INTEGER AS position,
  btrim(list.tag) AS tag
FROM legacy.tickets t
CROSS JOIN LATERAL string_to_table(t.tags, ',') WITH ORDINALITY AS list (tag, place)
WHERE btrim(list.tag) <> '';

-- For people who plan the migration (checks.listings in migration.ts).
CREATE VIEW lockstep_forward.unknown_states AS
SELECT id, state FROM legacy.tickets WHERE state NOT IN (0, 1, 2);
