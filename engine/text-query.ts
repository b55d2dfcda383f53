import type pg from 'pg';

export type Queryable = Pick<pg.ClientBase, 'query'>;

const asText = { getTypeParser: () => (value: string) => value };

/**
 * Runs a statement and returns its rows as PostgreSQL prints them, whatever type parsers the pool or the process has
 * (numbers and LSNs are strings, booleans `t` and `f`, NULL is null).
 */
export async function textRows<Row extends Record<string, string | null>>(
  db: Queryable,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  // Without values the simple protocol is used: the only one that a replication connection speaks.
  const result = await db.query<Row>(
    values.length > 0 ? { text, values: [...values], types: asText } : { text, types: asText },
  );
  return result.rows;
}
