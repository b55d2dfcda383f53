import type pg from 'pg';
import { columnList, quote, quoteRelation } from '../identifiers.ts';
import type { LoadedDirection, LoadedSource, LoadedTarget } from '../migration/load.ts';
import { equalColumns, textArray } from './predicate.ts';
import type { ScopeRef } from './scopes.ts';
import { prepared } from './transaction.ts';

/** A row that the target holds in one scope and the view in another. */
interface MovedRow {
  key: string[];
  /** Where the target has it. */
  held: string[];
  /** Where the view has it. */
  belongs: string[];
}

/** A row that a merge has left in a scope of the target. */
export interface Moved extends ScopeRef {
  /** Where the view has it. */
  readonly belongsTo: ScopeRef;
}

/**
 * Of rows that a merge has found in the target and not in its scopes of the view: those that the view has in other scopes.
 * Where those are the migration says itself: the rows' keys are the keys of a source (`keyedBy`), which leads to scopes.
 * Parameters: one array for each key column. Undefined where it does not say so.
 */
export function movedSql(target: LoadedTarget, source: LoadedSource): string | undefined {
  const query = target.scopesOf[source.name];
  const keyTypes = source.types.slice(0, source.key.length);
  if (query === undefined || keyTypes.join() !== target.keyTypes.join()) return undefined;
  const changed = [...source.key, ...source.routing].map(quote).join(', ');
  const keys = keyTypes.map((type, index) => `$${index + 1}::${type}[]`).join(', ');
  const routing = source.types.slice(source.key.length).map((type) => `, NULL::${type}`);
  const columns = columnList('v', [...new Set([...target.key, ...target.scope])]);
  return `WITH changed (${changed}) AS (SELECT d.*${routing.join('')} FROM unnest(${keys}) d)
SELECT DISTINCT ${textArray('v', target.key)} AS key, ${textArray('t', target.scope)} AS held, ${textArray('v', target.scope)} AS belongs
FROM (SELECT DISTINCT * FROM (${query}) AS found (${target.scope.map(quote).join(', ')})) s
CROSS JOIN LATERAL (SELECT ${columns} FROM ${quoteRelation(target.view)} v WHERE ${equalColumns('v', 's', target.scope)} OFFSET 0) v
JOIN changed c ON ${equalColumns('v', 'c', target.key, source.key)}
JOIN ${quoteRelation(target.relation)} t ON ${equalColumns('t', 'v', target.key)}`;
}

const kept = new WeakMap<LoadedTarget, ReturnType<typeof prepared>[]>();

function statements(loaded: LoadedDirection, target: LoadedTarget): ReturnType<typeof prepared>[] {
  let known = kept.get(target);
  if (!known) {
    const sources = loaded.sources.filter(({ name }) => target.keyedBy?.includes(name));
    const texts = sources.map((source) => movedSql(target, source));
    known = texts.flatMap((text) => (text === undefined ? [] : [prepared(text)]));
    kept.set(target, known);
  }
  return known;
}

/**
 * Parts rows that are to be deleted from those that have only moved to another scope. The event of these is on its way; it
 * finds both scopes, that of the view and that of the target, and moves the row in place. Deleted, and inserted again by
 * it, the row would lose the columns that the view does not have.
 *
 * @param keys of rows that the view lacks in the scopes merged.
 */
export async function withoutMoved(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
  keys: readonly string[][],
): Promise<{ readonly doomed: string[][]; readonly moved: Moved[] }> {
  const keysMoved = new Set<string>();
  const moved: Moved[] = [];
  const values = target.key.map((_, column) => keys.map((key) => key[column] ?? null));
  for (const statement of statements(loaded, target)) {
    const { rows } = await client.query<MovedRow>({ ...statement, values });
    for (const { key, held, belongs } of rows) {
      keysMoved.add(JSON.stringify(key));
      moved.push({ target, scope: held, belongsTo: { target, scope: belongs } });
    }
  }
  return { doomed: keys.filter((key) => !keysMoved.has(JSON.stringify(key))), moved };
}
