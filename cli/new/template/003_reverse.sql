-- The way back: what the legacy tables hold, given what the normalized ones hold. It keeps legacy warm after a cutover.

CREATE SCHEMA lockstep_reverse;

CREATE VIEW lockstep_reverse.tickets AS
SELECT
  t.id,
  t.title,
  CASE t.status WHEN 'open' THEN 0 WHEN 'in progress' THEN 1 WHEN 'closed' THEN 2 END::SMALLINT AS state,
  (
    SELECT string_agg(tt.tag, ', ' ORDER BY tt.position) FROM tracker.ticket_tags tt WHERE tt.ticket_id = t.id
  ) AS tags,
  t.updated_at
FROM tracker.tickets t;

-- What legacy has no place for (`losses` in migration.ts): a list has no gaps, so a position above one moves up.
CREATE VIEW lockstep_reverse.losses AS
SELECT
  'ticket_tags' AS target,
  ARRAY[tag.ticket_id::TEXT, tag.position::TEXT] AS key,
  'position' AS column_name,
  'positions are counted without gaps' AS reason
FROM (
  SELECT ticket_id, position, row_number() OVER (PARTITION BY ticket_id ORDER BY position) AS place
  FROM tracker.ticket_tags
) AS tag
WHERE tag.position <> tag.place;
