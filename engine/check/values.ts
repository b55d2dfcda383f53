import type pg from 'pg';
import { quote, quoteRelation } from '../identifiers.ts';
import { readForeignKeys } from '../migration/catalog.ts';
import type { LoadedDirection, LoadedSource } from '../migration/load.ts';
import { textRows } from '../text-query.ts';

export interface WritableColumn {
  readonly name: string;
  /** As format_type prints it. */
  readonly type: string;
  readonly required: boolean;
  /** Values to try, as text; few, so that rows meet. */
  readonly values: readonly string[];
}

/** A source table as the rehearsal writes it. */
export interface SourceTable {
  readonly source: LoadedSource;
  /** Generated columns left out. */
  readonly columns: readonly WritableColumn[];
  /** Whether a unique constraint of it can wait: that one is not looked after while foreign keys are off. */
  readonly deferrable: boolean;
}

const columnsSql = `
  SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull::text AS required,
         coalesce(b.typname, t.typname) AS base,
         (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = coalesce(b.oid, t.oid)) AS labels
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  ORDER BY a.attnum`;

const integers = ['1', '2', '3', '4', '0', '5', '7'];
const texts = ['a', 'b', 'c d', 'x@example.org', ''];
const moments = ['2026-01-01 00:00:00.123456+00', '2026-01-02 03:00:00+00', '2026-03-29 01:30:00+00'];

/** Values of each built-in type; of any other type only those that its tables hold are tried. */
const typical: Readonly<Record<string, readonly string[]>> = {
  int2: integers,
  int4: integers,
  int8: integers,
  numeric: ['1.00', '2.50', '-1', '0', '3.333'],
  float4: ['1', '2.5'],
  float8: ['1', '2.5'],
  text: texts,
  varchar: texts,
  bpchar: ['a', 'b'],
  bool: ['true', 'false'],
  uuid: [1, 2, 3, 4, 5, 6].map((n) => `00000000-0000-4000-8000-00000000000${n}`),
  date: ['2026-01-01', '2026-01-02', '2026-02-28'],
  timestamp: moments.map((moment) => moment.replace('+00', '')),
  timestamptz: moments,
  time: ['00:00:00', '12:30:00'],
  interval: ['1 hour', '30 days'],
  json: ['{"k": 1}', '{}'],
  jsonb: ['{"k": 1}', '{}'],
  bytea: ['\\x00', '\\xff'],
  inet: ['10.0.0.1'],
};

const deferrableSql = `
  SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::regclass AND condeferrable AND contype <> 'f') AS deferrable`;

/** How many of the values that a table holds are tried in each of its columns. */
const heldValues = 12;

const literalsSql = `
  SELECT pg_get_constraintdef(k.oid) AS text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'c' AND n.nspname = $1 AND c.relname = $2
  UNION ALL SELECT pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relkind = 'v' AND c.oid = ANY ($3::regclass[])`;

/** Strings that the table's checks and the views speak of: a view that asks for 'active' is to see some. */
async function spokenOf(client: pg.ClientBase, loaded: LoadedDirection, { relation }: LoadedSource): Promise<string[]> {
  const views = loaded.targets.map(({ view }) => quoteRelation(view));
  const rows = await textRows<{ text: string }>(client, literalsSql, [relation.schema, relation.name, views]);
  const literals = rows.flatMap(({ text }) =>
    [...text.matchAll(/'((?:[^']|'')*)'/g)].map(([, literal = '']) => literal.replaceAll("''", "'")),
  );
  return [...new Set(literals)].filter((literal) => literal.length > 0 && literal.length <= 40).slice(0, 30);
}

async function held(client: pg.ClientBase, table: string, column: string): Promise<string[]> {
  const rows = await textRows<{ value: string }>(
    client,
    `SELECT DISTINCT ${quote(column)}::text AS value FROM (SELECT * FROM ${table} LIMIT 200) t WHERE ${quote(column)} IS NOT NULL ORDER BY 1 LIMIT ${heldValues}`,
  );
  return rows.map(({ value }) => value);
}

async function readTable(client: pg.ClientBase, loaded: LoadedDirection, source: LoadedSource): Promise<SourceTable> {
  const { schema, name } = source.relation;
  const table = quoteRelation(source.relation);
  const literals = await spokenOf(client, loaded, source);
  const foreignKeys = await readForeignKeys(client, source.relation);
  const found = await textRows<{ name: string; type: string; required: string; base: string; labels: string | null }>(
    client,
    columnsSql,
    [schema, name],
  );
  const columns: WritableColumn[] = [];
  for (const column of found) {
    const own = await held(client, table, column.name);
    const parents: string[] = [];
    for (const foreignKey of foreignKeys) {
      const place = foreignKey.columns.indexOf(column.name);
      const parent = { schema: foreignKey.parentSchema, name: foreignKey.parentName };
      const parentColumn = foreignKey.parentColumns[place];
      if (parentColumn !== undefined) parents.push(...(await held(client, quoteRelation(parent), parentColumn)));
    }
    const stringy = /^(text|varchar|citext)$/.test(column.base);
    const made = [
      ...(column.labels === null ? [] : (JSON.parse(column.labels) as string[])),
      ...(typical[column.base] ?? []),
      ...(stringy ? literals : []),
    ];
    const required = column.required === 'true' || source.key.includes(column.name);
    columns.push({
      name: column.name,
      type: column.type,
      required,
      values: [...new Set([...own, ...parents, ...made])],
    });
  }
  const [row] = await textRows<{ deferrable: string }>(client, deferrableSql, [table]);
  return { source, columns, deferrable: row?.deferrable === 't' };
}

/** The source tables of a direction, with values to write. */
export async function readTables(client: pg.ClientBase, loaded: LoadedDirection): Promise<SourceTable[]> {
  const tables: SourceTable[] = [];
  for (const source of loaded.sources) tables.push(await readTable(client, loaded, source));
  return tables;
}
