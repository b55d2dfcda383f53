import { columnList, quote, quoteRelation } from '../identifiers.ts';
import type { LoadedTarget, ParentKey } from '../migration/load.ts';
import { type Extent, equalColumns, textArray } from './predicate.ts';

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
 * Expected rows beside those that the target holds within the extent, which are read in one go and not one by one. Some have
 * no counterpart: absent, or doomed. A FULL JOIN is hashed or merged, never a loop of one side over the other: the plan
 * for scopes is kept, and one that was made while the target was small would go on looping when it is large.
 */
function paired(target: LoadedTarget, extent: Extent): string {
  const names = target.columns.map((column) => column.name);
  return `expected e FULL JOIN (SELECT ${columnList('t', names)} FROM ${quoteRelation(target.relation)} t WHERE ${extent.where('t')}) t ON ${equalColumns('t', 'e', target.key)}`;
}

/**
 * Where else the target holds an expected row. OFFSET 0 keeps this a lookup for the few rows that need it. Where the scope is
 * the key there is nowhere else.
 */
function heldElsewhere(target: LoadedTarget, missing: string): string {
  if (target.scopeIsKey) return '';
  const columns = columnList('o', [...new Set([...target.key, ...target.scope])]);
  return `
  LEFT JOIN LATERAL (SELECT ${columns} FROM ${quoteRelation(target.relation)} o WHERE ${missing} AND ${equalColumns('o', 'e', target.key)} OFFSET 0) o ON true`;
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
  /**
   * Scopes of rows that were not written because somebody else has written them since the statement began: inserted under a
   * scope that is not ours, or deleted. The application's delete of a parent takes a target's rows along (ON DELETE CASCADE)
   * by the parent that they have there, which is no longer theirs in the view: no event of it leads to them.
   */
  conflicts: string[][] | null;
  /** Where expected rows belong that the target holds under a scope outside the extent, and where it holds them. */
  strays: [string[], string[]][] | null;
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
  const toUpdate = 'NOT e.lockstep_absent AND e.lockstep_here AND e.lockstep_differs';
  const due = `${ready} AND (${toUpdate}${target.writes === 'rows' ? ' OR e.lockstep_absent' : ''})`;
  const first = quote(target.key[0] ?? '');
  const missing = `t.${first} IS NULL`;
  const setColumns = mutableColumns(target).map((column) => column.name);
  const movable = !target.scopeIsKey;
  const deletes = target.writes === 'rows';
  const located = (alias: string) => columnList(alias, [...new Set([...target.key, ...target.scope])]);
  // A doomed row that is referenced may only have moved to a scope outside the extent; deleting it would take its
  // children along, and no one would derive them again.
  const careful = movable && target.referenced;
  // As in `parentPresent`: into a view that groups, a condition gets only from a lookup; EXISTS would derive all of it.
  const elsewhere = `coalesce((SELECT true FROM ${quoteRelation(target.view)} v WHERE ${equalColumns('v', 'e', target.key)} LIMIT 1), false)`;
  const scopeParts = movable ? target.scope.map((column, index) => [column, presentScope(index)] as const) : [];
  const heldScope = `ARRAY[${scopeParts.map(([, held]) => `e.${held}::text`).join(', ')}]`;
  return `
WITH expected AS MATERIALIZED (
  SELECT ${columnList('v', names)}, true AS lockstep_expected FROM ${quoteRelation(target.view)} v WHERE ${extent.where('v')}
), differing AS (
  SELECT ${target.key.map((column) => `coalesce(e.${quote(column)}, t.${quote(column)}) AS ${quote(column)}`).join(', ')},
         ${setColumns.map((column) => `e.${quote(column)}, `).join('')}coalesce(e.lockstep_expected, false) AS lockstep_expected,
         ${missing}${movable ? ` AND o.${first} IS NULL` : ''} AS lockstep_absent, NOT ${missing} AS lockstep_here,
         ${movable ? `(${columnList('t', target.scope)}) IS DISTINCT FROM (${columnList('e', target.scope)})` : 'false'} AS lockstep_moves,
         ${scopeParts.map(([column, held]) => `coalesce(t.${quote(column)}, o.${quote(column)}) AS ${held}, `).join('')}
         e.lockstep_expected IS NOT NULL AND (${missing} OR ${differs(target, 't', 'e')}) AS lockstep_differs
  FROM ${paired(target, extent)}${heldElsewhere(target, missing)}
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
  WHERE ${ready} AND ${toUpdate}
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
       CASE WHEN (SELECT count(*) FROM inserted) + (SELECT count(*) FROM updated) < (SELECT count(*) FROM compared e WHERE ${due}) THEN (
         SELECT json_agg(c.scope) FROM (SELECT DISTINCT ${textArray('e', target.scope)} AS scope FROM compared e
         WHERE ${due} AND NOT EXISTS (SELECT FROM inserted t WHERE ${sameKey}) AND NOT EXISTS (SELECT FROM updated t WHERE ${sameKey})) c)
       END AS conflicts,
       ${
         movable
           ? `(SELECT json_agg(json_build_array(s.scope, s.held)) FROM (
         SELECT DISTINCT ${textArray('e', target.scope)} AS scope, ${heldScope} AS held FROM compared e
         WHERE NOT e.lockstep_absent AND NOT e.lockstep_here
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
         ${careful ? `UNION SELECT ${heldScope} FROM compared e WHERE NOT e.lockstep_expected AND ${elsewhere}` : ''}
       ) l)`
           : 'NULL::json'
       } AS lodgers,
       ${deletes ? `(SELECT json_agg(${textArray('e', target.key)}) FROM compared e WHERE NOT e.lockstep_expected${careful ? ` AND NOT ${elsewhere}` : ''})` : 'NULL::json'} AS doomed`;
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
