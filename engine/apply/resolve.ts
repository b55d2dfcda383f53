import type pg from 'pg';
import { quote } from '../identifiers.ts';
import { distinctScopes, type ScopeRef } from '../merge/scopes.ts';
import { prepared } from '../merge/transaction.ts';
import type { ChangedRow } from '../message/message.ts';
import type { LoadedDirection, LoadedSource } from '../migration/load.ts';

/**
 * Step 3 of the protocol: the scopes that changed rows of one source touch, in every target that reads it.
 * Parameters: one array for each key column, then for each routing column. Undefined when no target reads the source.
 */
export function resolveSql(loaded: LoadedDirection, source: LoadedSource): string | undefined {
  const columns = [...source.key, ...source.routing].map(quote).join(', ');
  const arrays = source.types.map((type, index) => `$${index + 1}::${type}[]`).join(', ');
  const branches = loaded.targets.flatMap((target) => {
    const query = target.scopesOf[source.name];
    if (query === undefined) return [];
    const scope = target.scope.map((column) => `s.${quote(column)}`);
    return [
      `SELECT ${target.ordinal} AS target, ARRAY[${scope.map((column) => `${column}::text`).join(', ')}] AS scope
       FROM (${query}) AS s (${target.scope.map(quote).join(', ')})
       WHERE ${scope.map((column) => `${column} IS NOT NULL`).join(' AND ')}`,
    ];
  });
  if (branches.length === 0) return undefined;
  return `WITH changed (${columns}) AS (SELECT * FROM unnest(${arrays}))\n${branches.join('\nUNION\n')}`;
}

/**
 * The scopes that these rows touch, by the routing values carried, by the rows as they are now, and by the targets as
 * they are now. The caller holds the rows' locks, and this is a new statement: it sees all that earlier holders wrote.
 */
export async function resolveScopes(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  rowsBySource: ReadonlyMap<LoadedSource, readonly ChangedRow[]>,
): Promise<ScopeRef[]> {
  const found: ScopeRef[] = [];
  const byOrdinal = new Map(loaded.targets.map((target) => [target.ordinal, target]));
  for (const [source, rows] of rowsBySource) {
    const text = resolveSql(loaded, source);
    if (text === undefined) continue;
    const arrays = source.types.map((_, column) => rows.map((row) => row[column] ?? null));
    const result = await client.query<{ target: number; scope: string[] }>({ ...prepared(text), values: arrays });
    for (const { target, scope } of result.rows) {
      const loadedTarget = byOrdinal.get(target);
      if (loadedTarget) found.push({ target: loadedTarget, scope });
    }
  }
  return distinctScopes(found);
}
