import type pg from 'pg';
import { columnList, quoteRelation } from '../identifiers.ts';
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
