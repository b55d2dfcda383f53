import type { ClientBase } from 'pg';
import { quote } from '../identifiers.ts';
import type { ConcurrentIndex } from './script.ts';

interface IndexRow {
  readonly schema: string;
  readonly valid: boolean;
}

/**
 * `invalid` is what a failed CREATE INDEX CONCURRENTLY leaves: it costs every write, serves no query, and holds the
 * name (https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).
 */
export async function readIndexState(
  client: ClientBase,
  index: ConcurrentIndex,
): Promise<'none' | 'invalid' | 'valid'> {
  const row = await findIndex(client, index);
  if (!row) return 'none';
  return row.valid ? 'valid' : 'invalid';
}

export async function dropInvalidIndex(client: ClientBase, index: ConcurrentIndex): Promise<void> {
  const row = await findIndex(client, index);
  if (!row || row.valid) return;
  await client.query(`DROP INDEX CONCURRENTLY ${quote(row.schema)}.${quote(index.name)}`);
}

async function findIndex(client: ClientBase, { name, table }: ConcurrentIndex): Promise<IndexRow | undefined> {
  const parts = table.schema === null ? [table.name] : [table.schema, table.name];
  const { rows } = await client.query<IndexRow>(
    `SELECT n.nspname AS schema, i.indisvalid AS valid
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relname = $1 AND i.indrelid = to_regclass($2)`,
    [name, parts.map(quote).join('.')],
  );
  return rows[0];
}
