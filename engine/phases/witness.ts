import pg from 'pg';
import { quote, quoteRelation } from '../identifiers.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedTarget } from '../migration/load.ts';

/** A trigger that `arm` makes. */
export interface ArmedTrigger {
  readonly name: string;
  readonly sql: string;
}

/*
 * A change of the direction has to compare every scope that may have changed since the last validation, whoever wrote it
 * and however: by a merge, by hand, by an application that was deployed too early. So each table that is kept equal to a
 * view has witnesses, which note the scopes of the rows that a statement has written. They are only enabled while their
 * direction is active; then the application does not write these tables, and pays nothing.
 */

/** Texts of values must be those that the engine compares, whoever's session it is. */
const canonicalText =
  "SET datestyle = 'ISO, MDY' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = '1' SET bytea_output = 'hex'";

export function witnessFunction(direction: DirectionName, { ordinal }: LoadedTarget): string {
  return `lockstep.${quote(`witness_${direction}_${ordinal}`)}`;
}

/** CREATE FUNCTION for the witnesses of one target. */
export function witnessFunctionSql(direction: DirectionName, target: LoadedTarget): string {
  return `
CREATE OR REPLACE FUNCTION ${witnessFunction(direction, target)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp ${canonicalText} AS ${pg.escapeLiteral(witnessBody(direction, target))}`;
}

/** What is between its quotes; `arm` of another version has made another one, on which comparing cannot rely. */
export function witnessBody(direction: DirectionName, target: LoadedTarget): string {
  const scope = (alias: string) =>
    `ARRAY[${target.scope.map((column) => `${alias}.${quote(column)}::text`).join(', ')}]`;
  const texts = (alias: string, columns: readonly string[]) =>
    columns.map((column) => `${alias}.${quote(column)}::text`).join(', ');
  const note = (scopes: string) => `
    INSERT INTO lockstep.touched (direction, target, scope, xid)
    SELECT ${pg.escapeLiteral(direction)}, ${pg.escapeLiteral(target.name)}, s.scope, pg_current_xact_id()
    FROM (${scopes}) AS s (scope) WHERE array_position(s.scope, NULL) IS NULL ORDER BY s.scope
    ON CONFLICT (direction, target, scope) DO UPDATE SET xid = excluded.xid;`;
  const written = target.columns.map(({ name }) => name).filter((name) => !target.key.includes(name));
  // Of a table that is shared with others, only what the view speaks of counts.
  const updated =
    target.writes === 'rows'
      ? `SELECT ${scope('o')} FROM old_rows o UNION SELECT ${scope('n')} FROM new_rows n`
      : `SELECT DISTINCT ${scope('n')} FROM new_rows n JOIN old_rows o ON (${texts('o', target.key)}) = (${texts('n', target.key)})
         WHERE (${texts('o', written)}) IS DISTINCT FROM (${texts('n', written)})`;
  return `
BEGIN
  IF TG_OP = 'INSERT' THEN ${note(`SELECT DISTINCT ${scope('n')} FROM new_rows n`)}
  ELSIF TG_OP = 'UPDATE' THEN ${note(updated)}
  ELSIF TG_OP = 'DELETE' THEN ${note(`SELECT DISTINCT ${scope('o')} FROM old_rows o`)}
  ELSE ${note("SELECT '{}'::text[]")}
  END IF;
  RETURN NULL;
END`;
}

/** The witnesses of one target. Transition tables allow one event for each trigger. */
export function witnessTriggers(direction: DirectionName, target: LoadedTarget): ArmedTrigger[] {
  const tables = {
    INSERT: 'REFERENCING NEW TABLE AS new_rows',
    UPDATE: 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows',
    DELETE: 'REFERENCING OLD TABLE AS old_rows',
    TRUNCATE: '',
  };
  const events =
    target.writes === 'rows' ? (['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const) : (['INSERT', 'UPDATE'] as const);
  return events.map((event) => {
    const name = `lockstep_witness_${direction}_${target.ordinal}_${event.toLowerCase()}`;
    return {
      name,
      sql: `CREATE OR REPLACE TRIGGER ${quote(name)} AFTER ${event} ON ${quoteRelation(target.relation)} ${tables[event]}
            FOR EACH STATEMENT EXECUTE FUNCTION ${witnessFunction(direction, target)}()`,
    };
  });
}
