import pg from 'pg';
import { nameOf, quote, quoteRelation } from '../identifiers.ts';
import type { Direction, Guard, Migration, Relation } from '../migration/contract.ts';
import type { ArmedTrigger } from './witness.ts';

export type Side = 'legacy' | 'normalized';

/** What has made a side one that the application must not write. */
const madeBy = { legacy: 'cutover', normalized: 'rollback' } as const;

/** The guard of one table: refuses the application's writes with SQLSTATE LS001, and says where to write. */
export function guardTrigger(migration: Migration, side: Side, guard: Guard): ArmedTrigger {
  const name = `lockstep_guard_${side}`;
  const columns = guard.columns ?? [];
  const events =
    columns.length > 0 ? `UPDATE OF ${columns.map(quote).join(', ')}` : 'INSERT OR UPDATE OR DELETE OR TRUNCATE';
  const args = [madeBy[side], writeInstead(migration, side, guard.relation), columns.join(', ')];
  return {
    name,
    sql: `CREATE OR REPLACE TRIGGER ${quote(name)} BEFORE ${events} ON ${quoteRelation(guard.relation)}
          FOR EACH STATEMENT EXECUTE FUNCTION lockstep.guard(${args.map((arg) => pg.escapeLiteral(arg)).join(', ')})`,
  };
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
