import pg from 'pg';
import { columnList, quote, quoteRelation } from '../identifiers.ts';
import { type Extent, equalColumns } from '../merge/predicate.ts';
import { differs } from '../merge/statements.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** How many rows a comparison saw, and where something differs. */
export interface Comparison {
  /** Rows that the view or the target has, each key once. */
  readonly compared: number;
  /** Rows of the view. */
  readonly expected: number;
  /** Rows of the target. */
  readonly present: number;
  /** Each once. */
  readonly scopes: string[][];
}

export type DifferenceKind = 'missing' | 'extra' | 'different';

/** What a column should hold and what it holds, as PostgreSQL prints it. */
export interface ColumnDifference {
  readonly expected: string | null;
  readonly present: string | null;
}

/** One row on which view and target do not agree. */
export interface Difference {
  /** `missing`: only the view has it. `extra`: only the target has it. `different`: both, with other values. */
  readonly kind: DifferenceKind;
  /** Of the primary key's columns. */
  readonly key: readonly string[];
  /** Where the view says that the row belongs; for an extra row, where the target has it. */
  readonly scope: readonly string[];
  /** Set when the target has the row under another scope than the view. */
  readonly foundInScope?: readonly string[];
  /** Whether one of these scopes is in quarantine, as of the same snapshot. */
  readonly quarantined: boolean;
  /** Only those that differ; all of them when the row is missing or extra. */
  readonly columns: Readonly<Record<string, ColumnDifference>>;
}

const there = 'lockstep_there';

function side(target: LoadedTarget, source: string, alias: string, condition: string | undefined): string {
  const columns = columnList(alias, [...new Set([...target.columns.map(({ name }) => name), ...target.scope])]);
  const where = condition === undefined ? '' : ` WHERE ${condition}`;
  return `(SELECT ${columns}, true AS ${there} FROM ${source} ${alias}${where})`;
}

/**
 * Expected rows `e` beside present rows `t`, in one statement and therefore in one snapshot. Of a table that is shared
 * with others (`columns`) only the rows that the view speaks of are looked at.
 */
function bothSides(target: LoadedTarget, extent: Extent): string {
  const expected = side(target, quoteRelation(target.view), 'v', extent.where('v'));
  const shared = target.writes === 'columns';
  // A row of a shared table may have another scope than the view says, and is to be found by its key all the same.
  const anywhere = shared && !target.scopeIsKey;
  const present = side(target, quoteRelation(target.relation), 'w', anywhere ? undefined : extent.where('w'));
  return `${expected} e ${shared ? 'JOIN' : 'FULL JOIN'} ${present} t ON ${equalColumns('t', 'e', target.key)}`;
}

function textArray(alias: string, columns: readonly string[]): string {
  return `ARRAY[${columns.map((column) => `${alias}.${quote(column)}::text`).join(', ')}]`;
}

function unequal(target: LoadedTarget): string {
  const elsewhere = target.writes === 'columns' && !target.scopeIsKey ? ` OR ${scopesDiffer(target, 't')}` : '';
  return `(e.${there} IS NULL OR t.${there} IS NULL OR ${differs(target, 't', 'e')}${elsewhere})`;
}

function scopesDiffer(target: LoadedTarget, alias: string): string {
  return `(${columnList(alias, target.scope)}) IS DISTINCT FROM (${columnList('e', target.scope)})`;
}

/** Counts both sides of an extent and names the scopes in which they differ. Parameters: the extent's. */
export function compareSql(target: LoadedTarget, extent: Extent): string {
  const scope = `CASE WHEN e.${there} THEN ${textArray('e', target.scope)} ELSE ${textArray('t', target.scope)} END`;
  return `SELECT count(*) AS compared, count(e.${there}) AS expected, count(t.${there}) AS present,
       json_agg(${scope}) FILTER (WHERE ${unequal(target)}) AS scopes
FROM ${bothSides(target, extent)}`;
}

/** Compares an extent of a target with its view, in one snapshot. */
export async function compare(db: Queryable, target: LoadedTarget, extent: Extent): Promise<Comparison> {
  const [row] = await textRows<{ compared: string; expected: string; present: string; scopes: string | null }>(
    db,
    compareSql(target, extent),
    extent.parameters,
  );
  const scopes = JSON.parse(row?.scopes ?? '[]') as string[][];
  return {
    compared: Number(row?.compared),
    expected: Number(row?.expected),
    present: Number(row?.present),
    scopes: distinct(scopes),
  };
}

function distinct(scopes: readonly string[][]): string[][] {
  return [...new Map(scopes.map((scope) => [JSON.stringify(scope), scope])).values()];
}

/** Longer values are cut: a report is read by people, and both rows can be read in the database. */
const longestValue = 2_000;

function shown(expression: string): string {
  const text = `${expression}::text`;
  return `CASE WHEN length(${text}) > ${longestValue}
    THEN left(${text}, ${longestValue}) || '… (' || length(${text}) || ' characters, md5 ' || md5(${text}) || ')' ELSE ${text} END`;
}

/**
 * The rows of an extent that differ, with the columns that do. Parameters: the extent's, the direction, the target.
 */
export function differencesSql(target: LoadedTarget, extent: Extent): string {
  const next = extent.parameters.length + 1;
  const names = [...new Set([...target.columns.map(({ name }) => name), ...target.scope])];
  // By position, since a prefix could make a name longer than PostgreSQL keeps.
  const position = (name: string) => names.indexOf(name);
  // A row that the chunk lacks may be in the table all the same, under another scope.
  const lookup = !target.scopeIsKey && target.writes === 'rows';
  const found = (name: string) => (lookup ? `coalesce(t.${quote(name)}, o.${quote(name)})` : `t.${quote(name)}`);
  const isThere = lookup ? `coalesce(t.${there}, o.${there})` : `t.${there}`;
  const elsewhere = lookup
    ? `LEFT JOIN LATERAL (SELECT w.*, true AS ${there} FROM ${quoteRelation(target.relation)} w
       WHERE t.${there} IS NULL AND ${equalColumns('w', 'e', target.key)}) o ON true`
    : '';
  const texts = (columns: readonly string[], of: 'e' | 't') =>
    `ARRAY[${columns.map((name) => `d.${of}${position(name)}::text`).join(', ')}]`;
  const either = (columns: readonly string[]) =>
    `CASE WHEN d.kind = 'extra' THEN ${texts(columns, 't')} ELSE ${texts(columns, 'e')} END`;
  return `
WITH d AS MATERIALIZED (
  SELECT CASE WHEN e.${there} IS NULL THEN 'extra' WHEN ${isThere} IS NULL THEN 'missing' ELSE 'different' END AS kind,
         ${names.map((name, index) => `e.${quote(name)} AS e${index}, ${found(name)} AS t${index}`).join(', ')}
  FROM ${bothSides(target, extent)} ${elsewhere}
  WHERE ${unequal(target)}
), named AS (
  SELECT d.*, ${either(target.key)} AS key, ${either(target.scope)} AS scope,
         CASE WHEN d.kind = 'different' THEN ${texts(target.scope, 't')} END AS found
  FROM d
)
SELECT d.kind, to_json(d.key) AS key, to_json(d.scope) AS scope,
       CASE WHEN d.found <> d.scope THEN to_json(d.found) END AS found,
       EXISTS (SELECT FROM lockstep.quarantine q WHERE q.direction = $${next} AND q.target = $${next + 1}
               AND q.scope IN (d.scope, d.found)) AS quarantined,
       (SELECT json_object_agg(c.name, json_build_object('expected', c.e, 'present', c.p))
        FROM (VALUES ${names.map((name, index) => columnValues(target, name, index)).join(',\n              ')}) AS c (name, e, p, differs)
        WHERE c.differs) AS columns
FROM named d`;
}

/** A row of VALUES: the column's name, both values, and whether they differ. */
function columnValues(target: LoadedTarget, name: string, index: number): string {
  const [expected, present] = [`d.e${index}`, `d.t${index}`];
  const comparable = target.columns.find((column) => column.name === name)?.comparable ?? true;
  const asCompared = (value: string) => (comparable ? value : `${value}::text COLLATE "C"`);
  const differ = `d.kind <> 'different' OR ${asCompared(expected)} IS DISTINCT FROM ${asCompared(present)}`;
  return `(${pg.escapeLiteral(name)}, ${shown(expected)}, ${shown(present)}, ${differ})`;
}

/** The rows on which view and target do not agree, in one snapshot. */
export async function findDifferences(
  db: Queryable,
  direction: DirectionName,
  target: LoadedTarget,
  extent: Extent,
): Promise<Difference[]> {
  const rows = await textRows<{
    kind: DifferenceKind;
    key: string;
    scope: string;
    found: string | null;
    quarantined: string;
    columns: string | null;
  }>(db, differencesSql(target, extent), [...extent.parameters, direction, target.name]);
  return rows.map(({ kind, key, scope, found, quarantined, columns }) => ({
    kind,
    key: JSON.parse(key),
    scope: JSON.parse(scope),
    ...(found === null ? {} : { foundInScope: JSON.parse(found) }),
    quarantined: quarantined === 't',
    columns: JSON.parse(columns ?? '{}'),
  }));
}
