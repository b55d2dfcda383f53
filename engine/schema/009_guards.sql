-- Whoever writes may have a schema of temporary objects, which is searched before all others unless it is named: a guard
-- must not take a temporary table for a catalog. https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
ALTER FUNCTION lockstep.lock_tables(oid[]) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION lockstep.guard() SET search_path = pg_catalog, pg_temp;

-- As in 005, and: once the migration is complete, legacy stays guarded until it is dropped, for nobody reads it any more.
CREATE OR REPLACE FUNCTION lockstep.set_triggers(phase text, guards boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  item record;
BEGIN
  FOR item IN
    SELECT t.relation, string_agg(format('%s TRIGGER %I',
             CASE WHEN lockstep.is_enabled(t.active_in, t.guards, set_triggers.phase, set_triggers.guards) THEN 'ENABLE ALWAYS' ELSE 'DISABLE' END,
             t.name), ', ') AS changes
    FROM lockstep.armed_trigger t JOIN pg_class c ON c.oid = t.relation GROUP BY t.relation ORDER BY t.relation
  LOOP
    EXECUTE format('ALTER TABLE %s %s', item.relation::regclass, item.changes);
  END LOOP;
END $$;

-- Whether an armed trigger is to be enabled in a phase. `turned`: whether the direction has ever been changed.
CREATE FUNCTION lockstep.is_enabled(active_in text, guards boolean, phase text, turned boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN guards THEN turned AND active_in = CASE phase WHEN 'complete' THEN 'reverse' ELSE phase END ELSE active_in = phase END
$$;
