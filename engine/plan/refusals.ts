import { quote, quoteRelation } from '../identifiers.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** A constraint of a target, and SQL that is true for rows `v` of its view that break it. */
interface Condition {
  readonly constraint: string;
  /** What is wrong with the rows, for people. */
  readonly what: string;
  readonly broken: string;
}

const columnsSql = `
  SELECT a.attname AS name, t.typname AS type, a.atttypmod AS modifier,
         (a.attnotnull AND NOT a.atthasdef AND a.attidentity = '')::text AS required, a.attnotnull::text AS "notNull",
         format_type(a.atttypid, a.atttypmod) AS formatted,
         (SELECT vt.typname FROM pg_attribute va JOIN pg_type vt ON vt.oid = va.atttypid
          WHERE va.attrelid = $2::regclass AND va.attname = a.attname) AS "viewType"
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`;

const ranges: Readonly<Record<string, readonly [string, string]>> = {
  int2: ['-32768', '32767'],
  int4: ['-2147483648', '2147483647'],
  int8: ['-9223372036854775808', '9223372036854775807'],
};

/** `typmod` of varchar, char and numeric: https://www.postgresql.org/docs/current/catalog-pg-attribute.html */
const headerBytes = 4;

function columnCondition(column: {
  name: string;
  type: string;
  modifier: string;
  notNull: string;
  formatted: string;
  viewType: string | null;
}): Condition[] {
  const value = `v.${quote(column.name)}`;
  const conditions: Condition[] = [];
  if (column.notNull === 'true') {
    conditions.push({
      constraint: `${column.name} NOT NULL`,
      what: `"${column.name}" is NULL`,
      broken: `${value} IS NULL`,
    });
  }
  const modifier = Number(column.modifier) - headerBytes;
  if ((column.type === 'varchar' || column.type === 'bpchar') && modifier > 0) {
    // Excess blanks are cut off without an error, everything else is refused.
    const broken = `length(rtrim(${value}::text, ' ')) > ${modifier}`;
    conditions.push({
      constraint: `${column.name} ${column.formatted}`,
      what: `"${column.name}" is longer than ${modifier} characters`,
      broken,
    });
  }
  if (column.type === 'numeric' && modifier >= 0) {
    const [precision, scale] = [modifier >> 16, ((modifier & 0x7ff) ^ 1024) - 1024];
    const broken = `abs(round(${value}::numeric, ${scale})) >= 10::numeric ^ ${precision - scale}`;
    conditions.push({
      constraint: `${column.name} ${column.formatted}`,
      what: `"${column.name}" does not fit ${column.formatted}`,
      broken,
    });
  }
  const range = ranges[column.type];
  if (range && column.viewType !== null && column.viewType !== column.type) {
    const broken = `round(${value}::numeric) NOT BETWEEN ${range[0]} AND ${range[1]}`;
    conditions.push({
      constraint: `${column.name} ${column.formatted}`,
      what: `"${column.name}" does not fit ${column.formatted}`,
      broken,
    });
  }
  return conditions;
}

const checksSql = `
  SELECT k.conname AS name, pg_get_expr(k.conbin, k.conrelid) AS expression FROM pg_constraint k
  WHERE k.contype = 'c' AND k.conrelid = $1::regclass ORDER BY k.conname`;

const uniquesSql = `
  SELECT i.relname AS name,
         (SELECT json_agg(pg_get_indexdef(x.indexrelid, n, true) ORDER BY n) FROM generate_series(1, x.indnkeyatts) n) AS expressions,
         (SELECT coalesce(json_agg(DISTINCT a.attname) FILTER (WHERE a.attname IS NOT NULL), '[]') FROM pg_attribute a
          WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)) AS columns,
         pg_get_expr(x.indpred, x.indrelid) AS predicate
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
  WHERE x.indrelid = $1::regclass AND (x.indisunique OR EXISTS (
    -- An exclusion constraint with nothing but = is a unique one.
    SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype = 'x'
      AND NOT EXISTS (SELECT FROM unnest(k.conexclop) o JOIN pg_operator p ON p.oid = o WHERE p.oprname <> '=')))
  ORDER BY i.relname`;

/** Rows of one target that its table would refuse, by constraint. */
export interface Refusal {
  readonly target: string;
  readonly constraint: string;
  readonly what: string;
  readonly rows: number;
  /** Primary keys of some of them, each as the text of its columns. */
  readonly examples: readonly (readonly string[])[];
}

const shownExamples = 5;

/**
 * The view's rows under the table's own name and with all of its columns, so that expressions of the catalogs can be
 * asked of them. What the view does not derive is NULL here, which breaks no check.
 */
function viewAsTable(target: LoadedTarget, columns: readonly { name: string; formatted: string }[]): string {
  const derived = new Set(target.columns.map(({ name }) => name));
  const list = columns.map(({ name, formatted }) =>
    derived.has(name) ? `d.${quote(name)}` : `NULL::${formatted} AS ${quote(name)}`,
  );
  return `(SELECT ${list.join(', ')} FROM ${quoteRelation(target.view)} d) AS ${quote(target.relation.name)}`;
}

async function find(
  db: Queryable,
  target: LoadedTarget,
  condition: Condition,
  from: string,
  alias: string,
): Promise<Refusal[]> {
  const where = `FROM ${from} WHERE ${condition.broken}`;
  const [counted] = await textRows<{ rows: string }>(db, `SELECT count(*) AS rows ${where}`);
  const rows = Number(counted?.rows ?? 0);
  if (rows === 0) return [];
  const key = target.key.map((column) => `${alias}.${quote(column)}::text`).join(', ');
  const examples = await textRows<{ key: string }>(
    db,
    `SELECT to_json(ARRAY[${key}]) AS key ${where} LIMIT ${shownExamples}`,
  );
  const { constraint, what } = condition;
  return [
    { target: target.name, constraint, what, rows, examples: examples.map((row) => JSON.parse(row.key) as string[]) },
  ];
}

async function duplicates(
  db: Queryable,
  target: LoadedTarget,
  unique: { name: string; expressions: string[]; predicate: string | null },
  from: string,
): Promise<Refusal[]> {
  const table = quote(target.relation.name);
  const key = target.key.map((column) => `${table}.${quote(column)}::text`).join(', ');
  const parts = unique.expressions.map((expression) => `(${expression})`);
  const set = parts.map((part) => `${part} IS NOT NULL`);
  const grouped = `SELECT count(*) AS n, min(ARRAY[${key}]) AS key FROM ${from}
    WHERE ${[...set, ...(unique.predicate === null ? [] : [`(${unique.predicate})`])].join(' AND ')}
    GROUP BY ${parts.join(', ')} HAVING count(*) > 1`;
  const [found] = await textRows<{ rows: string; examples: string | null }>(
    db,
    `SELECT coalesce(sum(n - 1), 0) AS rows, (SELECT json_agg(e.key) FROM (${grouped} LIMIT ${shownExamples}) e) AS examples FROM (${grouped}) g`,
  );
  const rows = Number(found?.rows ?? 0);
  if (rows === 0) return [];
  const what = `another row has the same ${unique.expressions.join(', ')}`;
  return [
    {
      target: target.name,
      constraint: unique.name,
      what,
      rows,
      examples: JSON.parse(found?.examples ?? '[]') as string[][],
    },
  ];
}

/** The rows that a target's view gives and its table would refuse: these would be quarantined. */
export async function readRefusals(db: Queryable, loaded: LoadedDirection, target: LoadedTarget): Promise<Refusal[]> {
  const [table, view] = [quoteRelation(target.relation), quoteRelation(target.view)];
  const columns = await textRows<{
    name: string;
    type: string;
    modifier: string;
    required: string;
    notNull: string;
    formatted: string;
    viewType: string | null;
  }>(db, columnsSql, [table, view]);
  const derived = columns.filter(({ viewType }) => viewType !== null);
  const found: Refusal[] = [];
  for (const condition of derived.flatMap(columnCondition)) {
    found.push(...(await find(db, target, condition, `${view} v`, 'v')));
  }
  const from = viewAsTable(target, columns);
  const name = quote(target.relation.name);
  for (const check of await textRows<{ name: string; expression: string }>(db, checksSql, [table])) {
    const condition = {
      constraint: check.name,
      what: `it must be that ${check.expression}`,
      broken: `NOT (${check.expression})`,
    };
    found.push(...(await find(db, target, condition, from, name)));
  }
  for (const parent of target.parents) {
    const source = loaded.targets.find((candidate) => candidate.name === parent.target);
    const same = parent.columns.map(
      (column, index) => `p.${quote(parent.parentColumns[index] ?? '')} = v.${quote(column)}`,
    );
    const set = parent.columns.map((column) => `v.${quote(column)} IS NOT NULL`);
    const broken = `${set.join(' AND ')} AND NOT EXISTS (SELECT FROM ${quoteRelation(source?.view ?? parent.relation)} p WHERE ${same.join(' AND ')})`;
    const what = `${parent.columns.map((column) => `"${column}"`).join(', ')} refers to no row of ${parent.relation.schema}.${parent.relation.name}`;
    found.push(...(await find(db, target, { constraint: parent.name, what, broken }, `${view} v`, 'v')));
  }
  const uniques = await textRows<{ name: string; expressions: string; columns: string; predicate: string | null }>(
    db,
    uniquesSql,
    [table],
  );
  for (const unique of uniques) {
    // Of what the view does not derive nothing is known.
    const known = (JSON.parse(unique.columns) as string[]).every((column) =>
      derived.some(({ name: has }) => has === column),
    );
    if (known)
      found.push(
        ...(await duplicates(db, target, { ...unique, expressions: JSON.parse(unique.expressions) as string[] }, from)),
      );
  }
  return found;
}
