-- What `arm` prepares for a change of the direction. The functions below run with the rights of the owner of the tables
-- (who runs `migrate`), so that the operator can change the direction without owning them; they touch no table but those
-- that the owner has armed.

-- When the position in the WAL was certainly beyond the commit of the change: listeners that begin there know the phase.
ALTER TABLE lockstep.phase_change ADD COLUMN settled_lsn pg_lsn, ADD COLUMN pause_ms double precision;

CREATE TABLE lockstep.armed (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  armed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Tables that a change of the direction locks or watches.
CREATE TABLE lockstep.armed_table (relation oid PRIMARY KEY);
-- Triggers that `arm` has made; each is enabled in one phase and disabled in the others.
CREATE TABLE lockstep.armed_trigger (
  relation oid NOT NULL REFERENCES lockstep.armed_table (relation) ON DELETE CASCADE,
  name text NOT NULL,
  active_in text NOT NULL CHECK (active_in IN ('forward', 'reverse')),
  guards boolean NOT NULL,
  PRIMARY KEY (relation, name)
);

-- Scopes of the active direction's targets that anyone has written since they were last compared, with the transaction
-- that did it last. An empty scope: the whole target.
CREATE TABLE lockstep.touched (
  direction text NOT NULL,
  target text NOT NULL,
  scope text[] NOT NULL,
  xid xid8 NOT NULL,
  PRIMARY KEY (direction, target, scope)
) WITH (fillfactor = 70);
-- Whatever a transaction below this one wrote can be seen by every snapshot of the validation.
ALTER TABLE lockstep.validation ADD COLUMN sees_below xid8;
ALTER TABLE lockstep.validation ALTER COLUMN sees_below SET DEFAULT pg_snapshot_xmin(pg_current_snapshot());

-- Locks armed tables against writers; readers and checks of foreign keys go on. In the order given.
CREATE FUNCTION lockstep.lock_tables(relations oid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  item oid;
BEGIN
  FOREACH item IN ARRAY relations LOOP
    IF NOT EXISTS (SELECT FROM lockstep.armed_table t WHERE t.relation = item) THEN
      RAISE EXCEPTION 'table % is not armed', item::regclass;
    END IF;
    EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', item::regclass);
  END LOOP;
END $$;

-- Enables the triggers of one phase and disables those of the others. Guards only watch from the first change of the
-- direction on.
CREATE FUNCTION lockstep.set_triggers(phase text, guards boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  item record;
BEGIN
  FOR item IN
    SELECT t.relation, string_agg(format('%s TRIGGER %I',
             CASE WHEN t.active_in = set_triggers.phase AND (set_triggers.guards OR NOT t.guards) THEN 'ENABLE ALWAYS' ELSE 'DISABLE' END, t.name), ', ') AS changes
    FROM lockstep.armed_trigger t JOIN pg_class c ON c.oid = t.relation GROUP BY t.relation ORDER BY t.relation
  LOOP
    EXECUTE format('ALTER TABLE %s %s', item.relation::regclass, item.changes);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION lockstep.lock_tables(oid[]), lockstep.set_triggers(text, boolean) FROM PUBLIC;

-- Refuses a write of the application to the side that is not the truth. Arguments: the change that has made it so, where
-- to write instead, and the columns that are meant ('': all). It runs as whoever writes: an applier says so in a setting,
-- and only a role that may strike entries out of the ledger is believed. What the application deletes on the side that is
-- the truth may cascade to here.
CREATE FUNCTION lockstep.guard() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('lockstep.applier', true) = 'on' AND (
    SELECT has_table_privilege(current_user, c.oid, 'DELETE') FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'lockstep' AND c.relname = 'in_flight')
  THEN
    RETURN NULL;
  END IF;
  IF TG_OP IN ('UPDATE', 'DELETE') AND pg_trigger_depth() > 1 AND EXISTS (
    SELECT FROM pg_constraint f WHERE f.conrelid = TG_RELID AND f.contype = 'f'
      AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')))
  THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION USING
    ERRCODE = 'LS001',
    MESSAGE = format('%s of %s%I.%I is refused: since the %s the application writes to %s',
      TG_OP, CASE WHEN TG_ARGV[2] = '' THEN '' ELSE 'column ' || TG_ARGV[2] || ' of ' END, TG_TABLE_SCHEMA, TG_TABLE_NAME,
      TG_ARGV[0], TG_ARGV[1]),
    DETAIL = 'Nothing of this transaction was written. Lockstep keeps this table in step with what is written there.',
    HINT = format('Write to %s, or deploy the version of the application that does.', TG_ARGV[1]),
    SCHEMA = TG_TABLE_SCHEMA,
    TABLE = TG_TABLE_NAME;
END $$;
