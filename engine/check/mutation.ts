import { quote, quoteRelation } from '../identifiers.ts';
import type { Random } from '../random.ts';
import type { SourceTable, WritableColumn } from './values.ts';

export interface Mutation {
  readonly sql: string;
  readonly values: readonly (string | null)[];
  /** For people. */
  readonly what: string;
  /** Inserts or updates at most one row, without changing a key. */
  readonly single: boolean;
}

/** `$1::type` for values that are added one by one. */
class Parameters {
  readonly values: (string | null)[] = [];

  add(value: string | null, type: string): string {
    return `$${this.values.push(value)}::${type}`;
  }
}

function valueFor(column: WritableColumn, random: Random): string | null {
  if (column.values.length === 0 || (!column.required && random.chance(0.12))) return null;
  return random.pick(column.values);
}

/** A row with values of the pools in every column that has any, and otherwise its default. */
function insertion({ source, columns }: SourceTable, random: Random): Mutation {
  const parameters = new Parameters();
  const written = columns.filter((column) => column.values.length > 0);
  const values = written.map((column) => parameters.add(valueFor(column, random), column.type));
  return {
    sql: `INSERT INTO ${quoteRelation(source.relation)} (${written.map(({ name }) => quote(name)).join(', ')})
          OVERRIDING SYSTEM VALUE VALUES (${values.join(', ')})`,
    values: parameters.values,
    what: `a row is inserted into "${source.name}"`,
    single: true,
  };
}

/** The row that is the n-th by its key. */
function someRow({ source }: SourceTable, random: Random): string {
  const key = source.key.map(quote).join(', ');
  const table = quoteRelation(source.relation);
  return `(${key}) IN (SELECT ${key} FROM ${table} ORDER BY ${key} OFFSET ${random.integer(1000)} % greatest(1, (SELECT count(*) FROM ${table})) LIMIT 1)`;
}

function update(table: SourceTable, random: Random): Mutation | undefined {
  const { source, columns } = table;
  const free = columns.filter(({ name, values }) => values.length > 0 && !source.key.includes(name));
  if (free.length === 0) return undefined;
  // What decides about scopes is changed most.
  const routing = free.filter(({ name }) => source.routing.includes(name));
  const column = random.pick(routing.length > 0 && random.chance(0.4) ? routing : free);
  const parameters = new Parameters();
  const value = parameters.add(valueFor(column, random), column.type);
  return {
    sql: `UPDATE ${quoteRelation(source.relation)} SET ${quote(column.name)} = ${value} WHERE ${someRow(table, random)}`,
    values: parameters.values,
    what: `column "${column.name}" of a row of "${source.name}" is updated`,
    single: true,
  };
}

/** Two rows exchange what they have in a column. */
function swap(table: SourceTable, random: Random): Mutation | undefined {
  const { source, columns } = table;
  const free = columns.filter(({ name }) => !source.key.includes(name));
  if (free.length === 0) return undefined;
  const column = quote(random.pick(free).name);
  const key = source.key.map(quote).join(', ');
  const name = quoteRelation(source.relation);
  const place = random.integer(1000);
  const other = source.key.map((part) => `t.${quote(part)} = p.${quote(part)}`).join(' AND ');
  return {
    sql: `WITH pair AS (SELECT ${key}, ${column}, row_number() OVER (ORDER BY ${key}) AS n FROM (
            SELECT ${key}, ${column} FROM ${name} ORDER BY ${key}
            OFFSET ${place} % greatest(1, (SELECT count(*) FROM ${name}) - 1) LIMIT 2) r)
          UPDATE ${name} t SET ${column} = (SELECT o.${column} FROM pair o WHERE o.n <> p.n) FROM pair p
          WHERE ${other} AND (SELECT count(*) FROM pair) = 2`,
    values: [],
    what: `two rows of "${source.name}" exchange ${column}`,
    single: false,
  };
}

function deletion(table: SourceTable, random: Random): Mutation {
  return {
    sql: `DELETE FROM ${quoteRelation(table.source.relation)} WHERE ${someRow(table, random)}`,
    values: [],
    what: `a row of "${table.source.name}" is deleted`,
    single: false,
  };
}

function rekeying(table: SourceTable, random: Random): Mutation | undefined {
  const keys = table.columns.filter(({ name, values }) => table.source.key.includes(name) && values.length > 0);
  if (keys.length === 0) return undefined;
  const column = random.pick(keys);
  const parameters = new Parameters();
  const value = parameters.add(random.pick(column.values), column.type);
  return {
    sql: `UPDATE ${quoteRelation(table.source.relation)} SET ${quote(column.name)} = ${value} WHERE ${someRow(table, random)}`,
    values: parameters.values,
    what: `the key of a row of "${table.source.name}" is changed`,
    single: false,
  };
}

/** A change that an application could make to a source table; some do nothing, or are refused by the table. */
export function mutationOf(table: SourceTable, random: Random): Mutation {
  const kind = random.integer(100);
  const made =
    kind < 45
      ? update(table, random)
      : kind < 60
        ? swap(table, random)
        : kind < 75
          ? deletion(table, random)
          : kind < 80
            ? rekeying(table, random)
            : undefined;
  return made ?? insertion(table, random);
}

export { insertion };
