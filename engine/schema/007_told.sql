-- When somebody was told that all of a re-derivation, and what was committed meanwhile, has arrived. Until then the same call
-- goes on with it; later it begins anew.
ALTER TABLE lockstep.backfill ADD COLUMN told_at timestamptz;
UPDATE lockstep.backfill SET told_at = finished_at;
