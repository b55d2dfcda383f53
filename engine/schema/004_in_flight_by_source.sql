-- How many of an entry's rows are of which source, {"photos": 120}: so that one can tell which tables what is stuck concerns.
-- Entries that are older than this column do not say.
ALTER TABLE lockstep.in_flight ADD COLUMN source_keys jsonb NOT NULL DEFAULT '{}';
