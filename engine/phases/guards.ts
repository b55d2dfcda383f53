import pg from 'pg';
import { nameOf, quote, quoteRelation } from '../identifiers.ts';
import type { Direction, Guard, Migration, Relation } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { ArmedTrigger } from './witness.ts';

export type Side = 'legacy' | 'normalized';

/** What has made a side one that the application must not write. */
const madeBy = { legacy: 'cutover', normalized: 'rollback' } as const;

/** A column that is guarded, and what an INSERT that does not name it puts there (SQL). */
export interface ColumnDefault {
  readonly name: string;
  readonly value: string;
}

// A volatile default (a sequence, a random number) is never what a row has; comparing with it would refuse every row.
const defaultsSql = `
  SELECT a.attname AS name, coalesce(pg_get_expr(d.adbin, d.adrelid), 'NULL') AS value
  FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2::text[]) AND a.attidentity = '' AND a.attgenerated = ''
    AND NOT EXISTS (SELECT FROM regexp_matches(d.adbin::text, ':(?:op)?funcid (\\d+)', 'g') AS m (found)
                    JOIN pg_proc p ON p.oid = m.found[1]::oid WHERE p.provolatile = 'v')
  ORDER BY a.attnum`;

/** Of the columns of a guard that has any. */
export async function readDefaults(db: Queryable, { relation, columns = [] }: Guard): Promise<ColumnDefault[]> {
  if (columns.length === 0) return [];
  return await textRows<{ name: string; value: string }>(db, defaultsSql, [quoteRelation(relation), columns]);
}

/**
 * The guards of one table: they refuse the application's writes with SQLSTATE LS001, and say where to write. Where only
 * some columns are guarded, a row may be inserted that leaves them alone.
 */
export function guardTriggers(
  migration: Migration,
  side: Side,
  guard: Guard,
  defaults: readonly ColumnDefault[],
): ArmedTrigger[] {
  const columns = guard.columns ?? [];
  const args = [madeBy[side], writeInstead(migration, side, guard.relation), columns.join(', ')];
  const call = `EXECUTE FUNCTION lockstep.guard(${args.map((arg) => pg.escapeLiteral(arg)).join(', ')})`;
  const trigger = (name: string, when: string, each: string): ArmedTrigger => ({
    name,
    sql: `CREATE OR REPLACE TRIGGER ${quote(name)} ${when} ON ${quoteRelation(guard.relation)} FOR EACH ${each} ${call}`,
  });
  const name = `lockstep_guard_${side}`;
  if (columns.length === 0) return [trigger(name, 'BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT')];
  const given = defaults.map((column) => `NEW.${quote(column.name)} IS DISTINCT FROM (${column.value})`);
  return [
    trigger(name, `BEFORE UPDATE OF ${columns.map(quote).join(', ')}`, 'STATEMENT'),
    ...(given.length > 0 ? [trigger(`${name}_insert`, 'AFTER INSERT', `ROW WHEN (${given.join(' OR ')})`)] : []),
  ];
}

/** The tables of the other side that hold what this one holds, for people. */
function writeInstead(migration: Migration, side: Side, relation: Relation): string {
  const direction: Direction | undefined = side === 'legacy' ? migration.forward : migration.reverse;
  const source = direction?.sources.find((candidate) => isSame(candidate.relation, relation));
  const readers = direction?.targets.filter(({ scopesOf }) => source && source.name in scopesOf) ?? [];
  const names = (readers.length > 0 ? readers : (direction?.targets ?? [])).map((target) => nameOf(target.relation));
  return [...new Set(names)].join(', ');
}

export function isSame(a: Relation, b: Relation): boolean {
  return a.schema === b.schema && a.name === b.name;
}
