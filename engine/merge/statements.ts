import { columnList, quote, quoteRelation } from '../identifiers.ts';
import type { LoadedTarget, ParentKey } from '../migration/load.ts';
import { type Extent, equalColumns } from './predicate.ts';

/** A list of columns as one text[], as scopes and keys travel. */
function textArray(alias: string, columns: readonly string[]): string {
  return `ARRAY[${columns.map((column) => `${alias}.${quote(column)}::text`).join(', ')}]`;
}

/** The columns that a merge may change in a row that is there. */
function mutableColumns(target: LoadedTarget) {
  return target.columns.filter((column) => !target.key.includes(column.name));
}

/**
 * True when the row of alias `left` is not what alias `right` says. Types whose equality does not tell all differences, or
 * that have none, are compared as text, and only where the others agree: their texts cost more.
 */
export function differs(target: LoadedTarget, left: string, right: string): string {
  const compare = (comparable: boolean, asText: string) => {
    const columns = mutableColumns(target).filter((column) => column.comparable === comparable);
    const side = (alias: string) => columns.map(({ name }) => `${alias}.${quote(name)}${asText}`).join(', ');
    return columns.length === 0 ? [] : [`(${side(left)}) IS DISTINCT FROM (${side(right)})`];
  };
  const parts = [...compare(true, ''), ...compare(false, '::text COLLATE "C"')];
  return parts.length === 0 ? 'false' : `(${parts.join(' OR ')})`;
}

/**
 * A scalar lookup and not EXISTS: that one the planner may turn into a hash of the whole parent table, which a merge of a
 * few scopes has no time for.
 */
function parentPresent(parent: ParentKey): string {
  const anyNull = parent.columns.map((column) => `e.${quote(column)} IS NULL`).join(' OR ');
  const lookup = `SELECT true FROM ${quoteRelation(parent.relation)} p WHERE ${equalColumns('p', 'e', parent.parentColumns, parent.columns)} LIMIT 1`;
  return `(${anyNull} OR coalesce((${lookup}), false))`;
}

/**
 * The row that the target holds under the key of an expected one. For scopes it is a lookup each time (OFFSET 0 keeps the
 * planner from making it a join): their plan is kept, and one that was made while the target was small reads all of it
 * into a hash, again in each merge, when it is large.
 */
function presentRow(table: string, sameKey: string, extent: Extent): string {
  return extent.shape === 'scopes'
    ? `LEFT JOIN LATERAL (SELECT t.* FROM ${table} t WHERE ${sameKey} OFFSET 0) t ON true`
    : `LEFT JOIN ${table} t ON ${sameKey}`;
}

/**
 * The rows, as `t`, that the target holds within the extent and the view lacks. Where a scope is one row, only those scopes
 * are looked up that the view does not have.
 */
function unexpectedRows(target: LoadedTarget, extent: Extent): string {
  const table = quoteRelation(target.relation);
  if (!target.scopeIsKey || extent.list === undefined)
    return `FROM ${table} t WHERE ${extent.where('t')} AND NOT EXISTS (SELECT FROM expected e WHERE ${equalColumns('t', 'e', target.key)})`;
  const names = target.scope.map(quote).join(', ');
  return `FROM (SELECT s.* FROM ${extent.list} AS s (${names})
         WHERE NOT EXISTS (SELECT FROM expected e WHERE ${equalColumns('e', 's', target.scope)})) s
       CROSS JOIN LATERAL (SELECT t.* FROM ${table} t WHERE ${equalColumns('t', 's', target.scope)} OFFSET 0) t`;
}

/**
 * That a row which is looked up by its key still is within the extent: someone may have moved it since. Where the scope is
 * the key it cannot be elsewhere, and the list of scopes would become a condition of the index, sorted anew for each row.
 */
function stillWithin(target: LoadedTarget, extent: Extent): string {
  return target.scopeIsKey ? '' : ` AND ${extent.where('t')}`;
}

const parentFlag = (index: number) => `lockstep_parent_${index}`;

/** Where the target has the row now, part by part: looked up once, with the row, and not once more to report it. */
const presentScope = (index: number) => `lockstep_scope_${index}`;

/** What `mergeSql` answers, in one row. Scopes and keys are lists of text. */
export interface MergeRow {
  inserted: string;
  updated: string;
  /** Rows that were put into a scope where the target did not have them, where a row can be under one or another. */
  arrivals: { key: string[]; scope: string[] }[] | null;
  /** Scopes of rows that someone else inserted since the statement began, under a scope that is not ours. */
  conflicts: string[][] | null;
  /** Scopes of expected rows that the target holds under a scope outside the extent, and those scopes. */
  strays: string[][] | null;
  /** Rows not written because a parent row is not there: the scope, the position of the parent key, its values. */
  withheld: { scope: string[]; parent: number; values: string[] }[] | null;
  /**
   * Scopes in which a row stays that the view has in another scope, because it cannot be written there (its parent is
   * missing), or because that scope is outside the extent and the row must not be deleted (others refer to it).
   */
  lodgers: string[][] | null;
  /** Keys of rows that the view lacks; they are deleted by `deleteQuery`, after the children's. */
  doomed: string[][] | null;
}

/**
 * Steps 5 and 6 of the protocol, in one statement: derive the expected rows of these scopes, and insert or update what
 * differs. Rows that are as expected are not touched.
 *
 * A row is only ever updated while its present scope is within the extent, whose locks we hold: a row that the target
 * holds elsewhere is reported as a stray, because the merge of that other scope may be under way, with a younger or an
 * older view of it, and would be overwritten without a later event to mend it.
 */
export function mergeSql(target: LoadedTarget, extent: Extent): string {
  const table = quoteRelation(target.relation);
  const names = target.columns.map((column) => column.name);
  const sameKey = equalColumns('t', 'e', target.key);
  const ready = ['true', ...target.parents.map((_, index) => `e.${parentFlag(index)}`)].join(' AND ');
  const absent = `t.${quote(target.key[0] ?? '')} IS NULL`;
  const setColumns = mutableColumns(target).map((column) => column.name);
  const movable = !target.scopeIsKey;
  const deletes = target.writes === 'rows';
  const located = (alias: string) => columnList(alias, [...new Set([...target.key, ...target.scope])]);
  // A doomed row that is referenced may only have moved to a scope outside the extent; deleting it would take its
  // children along, and no one would derive them again.
  const careful = movable && target.referenced;
  const unexpected = unexpectedRows(target, extent);
  // As in `parentPresent`: into a view that groups, a condition gets only from a lookup; EXISTS would derive all of it.
  const elsewhere = `coalesce((SELECT true FROM ${quoteRelation(target.view)} v WHERE ${equalColumns('v', 't', target.key)} LIMIT 1), false)`;
  const scopeParts = movable ? target.scope.map((column, index) => [column, presentScope(index)] as const) : [];
  const heldScope = `ARRAY[${scopeParts.map(([, held]) => `e.${held}::text`).join(', ')}]`;
  return `
WITH expected AS MATERIALIZED (
  SELECT ${columnList('v', names)} FROM ${quoteRelation(target.view)} v WHERE ${extent.where('v')}
), differing AS (
  SELECT e.*, ${absent} AS lockstep_absent, ${movable ? `coalesce(${extent.where('t')}, false)` : 'true'} AS lockstep_here,
         ${movable ? `(${columnList('t', target.scope)}) IS DISTINCT FROM (${columnList('e', target.scope)})` : 'false'} AS lockstep_moves,
         ${scopeParts.map(([column, held]) => `t.${quote(column)} AS ${held}, `).join('')}${differs(target, 't', 'e')} AS lockstep_differs
  FROM expected e ${presentRow(table, sameKey, extent)}
), compared AS MATERIALIZED (
  SELECT e.*${target.parents
    .map(
      (parent, index) => `,
         CASE WHEN e.lockstep_absent OR e.lockstep_differs THEN ${parentPresent(parent)} ELSE true END AS ${parentFlag(index)}`,
    )
    .join('')}
  FROM differing e
), updated AS (
  ${
    setColumns.length === 0
      ? `SELECT ${located('t')}, false AS lockstep_moves FROM ${table} t WHERE false`
      : `
  UPDATE ${table} t SET ${setColumns.map((column) => `${quote(column)} = e.${quote(column)}`).join(', ')}
  FROM compared e
  WHERE ${ready} AND NOT e.lockstep_absent AND e.lockstep_here AND e.lockstep_differs
    AND ${sameKey}${stillWithin(target, extent)}
  RETURNING ${located('t')}, e.lockstep_moves`
  }
), inserted AS (
  ${
    deletes
      ? `
  INSERT INTO ${table} AS t (${names.map(quote).join(', ')})
  SELECT ${columnList('e', names)} FROM compared e WHERE ${ready} AND e.lockstep_absent
  ON CONFLICT (${target.key.map(quote).join(', ')}) DO NOTHING
  RETURNING ${located('t')}`
      : `SELECT ${located('t')} FROM ${table} t WHERE false`
  }
)
SELECT (SELECT count(*) FROM inserted)::text AS inserted,
       (SELECT count(*) FROM updated)::text AS updated,
       ${
         movable && deletes
           ? `(SELECT json_agg(json_build_object('key', ${textArray('a', target.key)}, 'scope', ${textArray('a', target.scope)})) FROM (
         SELECT ${located('i')} FROM inserted i UNION ALL SELECT ${located('u')} FROM updated u WHERE u.lockstep_moves) a)`
           : 'NULL::json'
       } AS arrivals,
       ${
         deletes
           ? `CASE WHEN (SELECT count(*) FROM inserted) < (SELECT count(*) FROM compared e WHERE ${ready} AND e.lockstep_absent) THEN (
         SELECT json_agg(c.scope) FROM (SELECT DISTINCT ${textArray('e', target.scope)} AS scope FROM compared e
         WHERE ${ready} AND e.lockstep_absent AND NOT EXISTS (SELECT FROM inserted t WHERE ${sameKey})) c) END`
           : 'NULL::json'
       } AS conflicts,
       ${
         movable
           ? `(SELECT json_agg(s.scope) FROM (
         SELECT ${textArray('e', target.scope)} AS scope FROM compared e WHERE NOT e.lockstep_absent AND NOT e.lockstep_here
         UNION
         SELECT ${heldScope} FROM compared e WHERE NOT e.lockstep_absent AND NOT e.lockstep_here
       ) s)`
           : 'NULL::json'
       } AS strays,
       ${
         target.parents.length === 0
           ? 'NULL::json'
           : `(SELECT json_agg(json_build_object('scope', w.scope, 'parent', w.parent, 'values', w.fk)) FROM (
         ${target.parents
           .map(
             (parent, index) => `
         SELECT DISTINCT ${textArray('e', target.scope)} AS scope, ${index} AS parent, ${textArray('e', parent.columns)} AS fk
         FROM compared e WHERE NOT e.${parentFlag(index)}`,
           )
           .join(' UNION ALL ')}
       ) w)`
       } AS withheld,
       ${
         movable
           ? `(SELECT json_agg(l.scope) FROM (
         SELECT ${heldScope} AS scope FROM compared e WHERE NOT (${ready}) AND e.lockstep_here AND e.lockstep_moves
         ${careful ? `UNION SELECT ${textArray('t', target.scope)} ${unexpected} AND ${elsewhere}` : ''}
       ) l)`
           : 'NULL::json'
       } AS lodgers,
       ${deletes ? `(SELECT json_agg(${textArray('t', target.key)}) ${unexpected} ${careful ? `AND NOT ${elsewhere}` : ''})` : 'NULL::json'} AS doomed`;
}

/** Writes what the view says of an extent of which the target holds nothing; writes nothing when it holds anything. */
export function fillSql(target: LoadedTarget, extent: Extent): string {
  const table = quoteRelation(target.relation);
  const names = target.columns.map((column) => column.name);
  return `INSERT INTO ${table} (${names.map(quote).join(', ')})
SELECT ${columnList('v', names)} FROM ${quoteRelation(target.view)} v
WHERE ${extent.where('v')} AND NOT EXISTS (SELECT FROM ${table} t WHERE ${extent.where('t')})`;
}

/**
 * Whether a merge of a shared table would write anything. Asked first, a merge that has nothing to write takes no lock
 * that a lock against writers would stop: so a table that a direction both reads and writes can be locked at a change of
 * the direction, and what is in flight of it still be finished.
 */
export function anyDifferenceSql(target: LoadedTarget, extent: Extent): string {
  return `SELECT EXISTS (
  SELECT FROM ${quoteRelation(target.view)} v JOIN ${quoteRelation(target.relation)} t ON ${equalColumns('t', 'v', target.key)}
  WHERE ${extent.where('v')} AND ${differs(target, 't', 'v')}) AS differs`;
}

/** Deletes doomed rows by key, if they are still in the extent: the text and its parameters. */
export function deleteQuery(
  target: LoadedTarget,
  extent: Extent,
  keys: readonly (readonly string[])[],
): { text: string; values: unknown[] } {
  const within = stillWithin(target, extent);
  const values: unknown[] = within === '' ? [] : [...extent.parameters];
  const arrays = target.keyTypes.map(
    (type, column) => `$${values.push(keys.map((key) => key[column] ?? null))}::${type}[]`,
  );
  const names = target.key.map(quote).join(', ');
  const text = `DELETE FROM ${quoteRelation(target.relation)} t
USING unnest(${arrays.join(', ')}) AS d (${names})
WHERE ${equalColumns('t', 'd', target.key)}${within}`;
  return { text, values };
}
