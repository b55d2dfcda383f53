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
      // Distinct before they are text: comparing that costs more than finding the scopes.
      `SELECT ${target.ordinal} AS target, ARRAY[${scope.map((column) => `${column}::text`).join(', ')}] AS scope
       FROM (SELECT DISTINCT * FROM (${query}) AS found (${target.scope.map(quote).join(', ')})) AS s
       WHERE ${scope.map((column) => `${column} IS NOT NULL`).join(' AND ')}`,
    ];
  });
  if (branches.length === 0) return undefined;
  return `WITH changed (${columns}) AS (SELECT * FROM unnest(${arrays}))\n${branches.join('\nUNION ALL\n')}`;
}

const kept = new WeakMap<LoadedDirection, Map<LoadedSource, ReturnType<typeof prepared> | undefined>>();

/** `resolveSql`, all scopes of a target in one row; built once. */
function resolveStatement(loaded: LoadedDirection, source: LoadedSource): ReturnType<typeof prepared> | undefined {
  const known = kept.get(loaded) ?? new Map<LoadedSource, ReturnType<typeof prepared> | undefined>();
  kept.set(loaded, known);
  if (!known.has(source)) {
    const text = resolveSql(loaded, source);
    const grouped = `SELECT target, json_agg(scope) AS scopes FROM (${text}) r GROUP BY target`;
    known.set(source, text === undefined ? undefined : prepared(grouped));
  }
  return known.get(source);
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
    const statement = resolveStatement(loaded, source);
    if (!statement) continue;
    const arrays = source.types.map((_, column) => rows.map((row) => row[column] ?? null));
    const result = await client.query<{ target: number; scopes: string[][] }>({ ...statement, values: arrays });
    for (const { target, scopes } of result.rows) {
      const loadedTarget = byOrdinal.get(target);
      if (loadedTarget) for (const scope of scopes) found.push({ target: loadedTarget, scope });
    }
  }
  return distinctScopes(found);
}
