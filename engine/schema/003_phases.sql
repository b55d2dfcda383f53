-- Each change of the phase, in the transaction that made it. The announcement is a transactional logical message, so that
-- a stream reads it at exactly the place of the commit; its position is below that commit's.
CREATE TABLE lockstep.phase_change (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  change text NOT NULL,
  from_phase text NOT NULL CHECK (from_phase IN ('forward', 'reverse', 'complete')),
  to_phase text NOT NULL CHECK (to_phase IN ('forward', 'reverse', 'complete')),
  announced_lsn pg_lsn NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
