import type pg from 'pg';
import { columnList, quote, quoteRelation } from '../identifiers.ts';
import type { FollowedKey, LoadedDirection, LoadedTarget, ParentKey } from '../migration/load.ts';
import { equalColumns, extentOfScopes, textArray } from './predicate.ts';
import { distinctScopes, type ScopeRef, scopeIdentity } from './scopes.ts';

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

const keyArrays = (target: LoadedTarget) =>
  `unnest(${target.keyTypes.map((type, index) => `$${index + 1}::${type}[]`).join(', ')}) AS d (${target.key.map(quote).join(', ')})`;

/** Locks rows that are to be deleted: from then on nobody writes one that refers to them. Parameters: one array for each key column. */
export function doomedSql(target: LoadedTarget): string {
  return `SELECT FROM ${quoteRelation(target.relation)} t JOIN ${keyArrays(target)} ON ${equalColumns('t', 'd', target.key)} FOR UPDATE OF t`;
}

/**
 * Rows of a child target that refer to rows of a target, by the keys of these: one array for each key column. A row that is
 * being moved is waited for, and found where it is then.
 */
export function followingSql(target: LoadedTarget, child: LoadedTarget, key: FollowedKey): string {
  const columns = columnList('c', [...new Set([...child.key, ...child.scope])]);
  return `SELECT DISTINCT ${key.rowsGo && child.referenced ? textArray('f', child.key) : 'NULL::text[]'} AS key, ${textArray('f', child.scope)} AS scope
FROM (SELECT ${columns} FROM ${keyArrays(target)}
  JOIN ${quoteRelation(target.relation)} t ON ${equalColumns('t', 'd', target.key)}
  JOIN ${quoteRelation(child.relation)} c ON ${equalColumns('c', 't', key.columns, key.parentColumns)} FOR UPDATE OF c) f`;
}

/** Children by which rows go along when rows of `target` are deleted. */
export function followersOf(loaded: LoadedDirection, target: LoadedTarget): [LoadedTarget, FollowedKey][] {
  const { schema, name } = target.relation;
  const refers = ({ relation }: FollowedKey) => relation.schema === schema && relation.name === name;
  return loaded.targets.flatMap((child) =>
    child.follows.filter(refers).map((key): [LoadedTarget, FollowedKey] => [child, key]),
  );
}

/**
 * The scopes of targets whose rows the server takes along, or changes, when rows of a target are deleted, and of those that go
 * with these (https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK). All these rows are locked.
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
  const seen = new Set<string>();
  const pending: [LoadedTarget, readonly (readonly string[])[]][] = [[target, keys]];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const [parent, all] = next;
    const followers = followersOf(loaded, parent);
    // Rows of one table may refer to each other in a circle.
    const doomed = all.filter((key) => !seen.has(scopeIdentity({ target: parent, scope: key })));
    if (followers.length === 0 || doomed.length === 0) continue;
    for (const key of doomed) seen.add(scopeIdentity({ target: parent, scope: key }));
    const values = parent.key.map((_, column) => doomed.map((key) => key[column] ?? null));
    await client.query(doomedSql(parent), values);
    for (const [child, key] of followers) {
      const { rows } = await client.query<{ key: string[] | null; scope: string[] }>(
        followingSql(parent, child, key),
        values,
      );
      for (const { scope } of rows) found.push({ target: child, scope });
      pending.push([child, rows.flatMap((row) => (row.key === null ? [] : [row.key]))]);
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
