import type pg from 'pg';
import type { z } from 'zod';
import { AppError } from './errors.ts';
import { parseValue } from './values.ts';

/**
 * What a repository runs its SQL on: a pool, or one transaction of it. Each row is checked against a schema when it
 * comes in, so that a type that is declared is also the type that is there.
 */
export interface Sql {
  /** @throws AppError LS_APP_ROW when a row is not what the schema says; otherwise the server's errors. */
  rows<T>(schema: z.ZodType<T>, text: string, values?: readonly unknown[]): Promise<T[]>;
  /** The first row, or null. */
  row<T>(schema: z.ZodType<T>, text: string, values?: readonly unknown[]): Promise<T | null>;
  /** How many rows the statement wrote. */
  run(text: string, values?: readonly unknown[]): Promise<number>;
  /** Runs `work` in a transaction: this one, or a new one of the pool. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

type Queryable = Pick<pg.ClientBase, 'query'>;

const types: pg.CustomTypesConfig = { getTypeParser: ((oid: number) => parseValue(oid)) as never };

function sqlOn(db: Queryable, transaction: Sql['transaction']): Sql {
  const rows = async <T>(schema: z.ZodType<T>, text: string, values: readonly unknown[] = []): Promise<T[]> => {
    const result = await db.query({ text, values: [...values], types });
    return result.rows.map((row: unknown) => {
      const parsed = schema.safeParse(row);
      if (parsed.success) return parsed.data;
      // Names of columns and what is wrong with them; no values.
      const issues = parsed.error.issues.map(({ path, code, message }) => `${path.join('.')}: ${message} (${code})`);
      throw new AppError('LS_APP_ROW', `A row is not what the application expects: ${issues.join('; ')}.`);
    });
  };
  return {
    rows,
    row: async (schema, text, values) => (await rows(schema, text, values))[0] ?? null,
    run: async (text, values = []) => (await db.query(text, [...values])).rowCount ?? 0,
    transaction,
  };
}

/** On a client that is in a transaction; a transaction within it is the same one. */
export function sqlInTransaction(client: Queryable): Sql {
  const sql: Sql = sqlOn(client, (work) => work(sql));
  return sql;
}

/** On a pool: each statement by itself, and each transaction on a client of its own. */
export function sqlOnPool(pool: pg.Pool): Sql {
  return sqlOn(pool as unknown as Queryable, async (work) => {
    const { value } = await inTransaction(pool, (client) => work(sqlInTransaction(client)));
    return value;
  });
}

/**
 * COMMIT and the position after it in one round trip. Whatever the transaction wrote is below that position.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-BACKUP
 */
const commitSql = 'COMMIT; SELECT pg_current_wal_insert_lsn()::text AS lsn';

/** What every statement is refused with after one that has failed. */
const transactionAborted = '25P02';

function swallowed(cause?: unknown): AppError {
  const message = 'An error of the server was swallowed within a transaction.';
  return new AppError('LS_APP_ROLLED_BACK', message, { cause });
}

/** Runs `work` between BEGIN and COMMIT; when it throws, rolls back and throws the same. READ COMMITTED. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<{ value: T; committedLsn: string }> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // Lost between two statements: without a listener it would end the application. The next statement tells.
  const lost = (error: Error) => {
    broken = error;
  };
  client.on('error', lost);
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    const value = await work(client);
    // Two statements in one text have two results.
    const results = (await client.query(commitSql)) as unknown as pg.QueryResult<{ lsn: string }>[];
    // A transaction in which a statement has failed ends so, whatever was asked for.
    if (results[0]?.command !== 'COMMIT') throw swallowed();
    return { value, committedLsn: results[1]?.rows[0]?.lsn ?? '' };
  } catch (error) {
    await client.query('ROLLBACK').catch(lost);
    throw (error as { code?: unknown } | null)?.code === transactionAborted ? swallowed(error) : error;
  } finally {
    if (broken === undefined) client.off('error', lost);
    client.release(broken);
  }
}
