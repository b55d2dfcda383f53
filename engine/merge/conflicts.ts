import type pg from 'pg';
import { columnList, quote, quoteRelation } from '../identifiers.ts';
import type { LoadedDirection, LoadedTarget, ParentKey } from '../migration/load.ts';
import { equalColumns, extentOfScopes, textArray } from './predicate.ts';
import { distinctScopes, type ScopeRef } from './scopes.ts';

export interface Conflict {
  /** Where the target holds the row. */
  scope: string[];
  /** Where the view has the one that it stands in the way of, or that it is. */
  belongs: string[];
}

/**
 * Rows of other scopes that hold a unique value (or the key) which the view gives to a row of these scopes. Parameters:
 * the scopes.
 */
export function conflictsSql(target: LoadedTarget, uniqueColumns: readonly string[]): string {
  const { where } = extentOfScopes(target, []);
  return `SELECT DISTINCT ${textArray('t', target.scope)} AS scope, ${textArray('e', target.scope)} AS belongs
FROM (SELECT ${columnList(
    'v',
    target.columns.map((column) => column.name),
  )} FROM ${quoteRelation(target.view)} v WHERE ${where('v')}) e
JOIN ${quoteRelation(target.relation)} t ON ${equalColumns('t', 'e', uniqueColumns)}
WHERE NOT ${where('t')}`;
}

/**
 * Rows of a child target that still refer to rows of this scope which the view lacks. Parameters: the scope.
 */
export function referringSql(target: LoadedTarget, child: LoadedTarget, parent: ParentKey): string {
  const { where } = extentOfScopes(target, []);
  return `SELECT DISTINCT ${textArray('c', child.scope)} AS scope
FROM ${quoteRelation(target.relation)} t JOIN ${quoteRelation(child.relation)} c ON ${equalColumns('c', 't', parent.columns, parent.parentColumns)}
WHERE ${where('t')} AND NOT EXISTS (SELECT FROM ${quoteRelation(target.view)} v WHERE ${where('v')} AND ${equalColumns('v', 't', target.key)})`;
}

/**
 * Rows of a child target that refer to rows of a target, by the keys of these: one array for each key column. Parameters: the
 * keys.
 */
export function followingSql(target: LoadedTarget, child: LoadedTarget, parent: ParentKey): string {
  const keys = target.keyTypes.map((type, index) => `$${index + 1}::${type}[]`).join(', ');
  return `SELECT DISTINCT ${textArray('c', child.key)} AS key, ${textArray('c', child.scope)} AS scope
FROM unnest(${keys}) AS d (${target.key.map(quote).join(', ')})
JOIN ${quoteRelation(target.relation)} t ON ${equalColumns('t', 'd', target.key)}
JOIN ${quoteRelation(child.relation)} c ON ${equalColumns('c', 't', parent.columns, parent.parentColumns)}`;
}

/**
 * The scopes of targets whose rows the server takes along, or changes, when rows of a target are deleted, and of those that go
 * with these (https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK).
 *
 * @param keys of the rows that are to be deleted.
 */
export async function followingScopes(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
  keys: readonly (readonly string[])[],
): Promise<ScopeRef[]> {
  const found: ScopeRef[] = [];
  if (!target.referenced || keys.length === 0) return found;
  const values = target.key.map((_, column) => keys.map((key) => key[column] ?? null));
  for (const child of loaded.targets) {
    for (const parent of child.parents.filter((key) => key.target === target.name && key.onDelete !== 'forbids')) {
      const { rows } = await client.query<{ key: string[]; scope: string[] }>(
        followingSql(target, child, parent),
        values,
      );
      for (const { scope } of rows) found.push({ target: child, scope });
      const gone = parent.onDelete === 'goes' ? rows.map(({ key }) => key) : [];
      found.push(...(await followingScopes(client, loaded, child, gone)));
    }
  }
  return distinctScopes(found);
}

/**
 * The scopes of child targets that keep a row of this scope from being deleted: the order that changed hands and the
 * customer who had no other can only be merged together.
 */
export async function referringScopes(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  { target, scope }: ScopeRef,
): Promise<ScopeRef[]> {
  const found: ScopeRef[] = [];
  for (const child of loaded.targets) {
    for (const parent of child.parents.filter((key) => key.target === target.name)) {
      const { rows } = await client.query<{ scope: string[] }>(referringSql(target, child, parent), [
        ...extentOfScopes(target, [scope]).parameters,
      ]);
      for (const row of rows) found.push({ target: child, scope: row.scope });
    }
  }
  return distinctScopes(found);
}

/**
 * The scopes that stand in the way of one scope: two users who swapped a unique value in one transaction can only be
 * merged together.
 */
export async function conflictingScopes(client: pg.ClientBase, ref: ScopeRef): Promise<ScopeRef[]> {
  const { target, scope } = ref;
  const found: ScopeRef[] = [];
  for (const unique of target.uniques) {
    const { rows } = await client.query<Conflict>(conflictsSql(target, unique.columns), [
      ...extentOfScopes(target, [scope]).parameters,
    ]);
    for (const row of rows) found.push({ target, scope: row.scope });
  }
  return distinctScopes(found);
}
