import { hash } from 'node:crypto';
import type pg from 'pg';
import { directionLock, type LockKey } from '../locks.ts';
import type { DirectionName } from '../migration/contract.ts';

/**
 * Well under deadlock_timeout (1 s by default): when we and the application wait for each other, we give up first,
 * before the server looks for a victim. https://www.postgresql.org/docs/current/runtime-config-locks.html
 */
export const lockTimeoutMs = 400;

/*
 * Why the planner is given orders: planning a merge takes longer than a small merge itself, so its plan is made once for
 * a connection (`prepared`), and must be right for tables that are empty now and large in a minute. By index it is right
 * for both. https://www.postgresql.org/docs/current/runtime-config-query.html
 */

/**
 * Opens a merge's transaction: READ COMMITTED, so that each statement's snapshot is younger than the locks taken before
 * it; constraints that can wait are checked when all is written; the fence and further locks taken; durable when it
 * commits, because the queue forgets the message then.
 */
export async function beginMerge(client: pg.ClientBase, direction: DirectionName, locks: TableLocks): Promise<void> {
  await client.query(beginSql(direction, locks));
}

interface TableLocks {
  readonly shared?: readonly LockKey[];
  readonly exclusive?: readonly LockKey[];
}

function beginSql(direction: DirectionName, locks: TableLocks): string {
  const shared = [directionLock(direction), ...(locks.shared ?? [])].map(
    (key) => `pg_advisory_xact_lock_shared(${key})`,
  );
  const exclusive = (locks.exclusive ?? []).map((key) => `pg_advisory_xact_lock(${key})`);
  return `BEGIN ISOLATION LEVEL READ COMMITTED;
     SET LOCAL lock_timeout = '${lockTimeoutMs}ms';
     SET LOCAL idle_in_transaction_session_timeout = '60s';
     SET LOCAL synchronous_commit = on;
     SET LOCAL lockstep.applier = 'on';
     SET LOCAL jit = off;
     SET LOCAL enable_seqscan = off;
     SET LOCAL plan_cache_mode = force_generic_plan;
     SET LOCAL work_mem = '32MB';
     SET CONSTRAINTS ALL DEFERRED;
     SELECT ${[...shared, ...exclusive].join(', ')}`;
}

const numbers = (locks: readonly LockKey[]) => `unnest('{${locks.join(',')}}'::bigint[]) AS k`;

const fenceSql = (direction: DirectionName, locks: readonly LockKey[]) => `
  SELECT (SELECT phase FROM lockstep.phase) = '${direction}' AS active,
         (SELECT count(pg_advisory_xact_lock(k)) FROM ${numbers(locks)})::int AS locked`;

/**
 * Reads the phase, under the fence's lock and therefore for certain, and takes further locks in the order given.
 *
 * @returns whether this direction may write: not after a cutover or rollback.
 */
export async function passFence(
  client: pg.ClientBase,
  direction: DirectionName,
  locks: readonly LockKey[],
): Promise<boolean> {
  const { rows } = await client.query<{ active: boolean }>(fenceSql(direction, locks));
  return rows[0]?.active === true;
}

/**
 * `beginMerge` and `passFence` in one round trip. They stay two statements: the phase is read under the fence's lock.
 */
export async function beginFenced(
  client: pg.ClientBase,
  direction: DirectionName,
  tables: TableLocks,
  rows: readonly LockKey[],
): Promise<boolean> {
  const text = `${beginSql(direction, tables)};${fenceSql(direction, rows)}`;
  // A text of several statements is answered with a list, which the typings leave out.
  const results = (await client.query(text)) as unknown as pg.QueryResult<{ active: boolean }>[];
  return results.at(-1)?.rows[0]?.active === true;
}

/** A statement that each connection plans once; the server knows it by a name made of its text. */
export function prepared(text: string): { name: string; text: string } {
  return { name: `lockstep_${hash('md5', text).slice(0, 16)}`, text };
}

/** Takes exclusive locks in the order given. `next`: statements to go with it. */
export async function takeLocks(client: pg.ClientBase, locks: readonly LockKey[], next = ''): Promise<void> {
  await client.query(`SELECT count(pg_advisory_xact_lock(k)) FROM ${numbers(locks)};${next}`);
}

/** Whether the connection can still be used; after a lost one every error means `retry`. */
export function connectionLost(client: pg.ClientBase): boolean {
  // pg keeps the socket under `connection.stream`; its typings leave it out.
  const { connection } = client as unknown as { connection?: { stream?: { destroyed?: boolean; writable?: boolean } } };
  return connection?.stream?.destroyed === true || connection?.stream?.writable === false;
}

const lostErrors = new WeakSet<Error>();

/** Whether this error came out of `withConnection` because there was no connection, or no longer. */
export function isConnectionLost(error: unknown): boolean {
  return error instanceof Error && lostErrors.has(error);
}

function markLost(error: unknown): Error {
  const marked = error instanceof Error ? error : new Error(String(error));
  lostErrors.add(marked);
  return marked;
}

/**
 * Runs `work` in a connection of the pool. When it throws, its transaction is rolled back, and a connection that is
 * lost is given up; `isConnectionLost` knows such errors afterwards.
 */
export async function withConnection<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw markLost(error);
  });
  let broken = false;
  const onError = () => {
    broken = true;
  };
  client.on('error', onError);
  try {
    return await work(client);
  } catch (error) {
    broken ||= connectionLost(client);
    if (broken) throw markLost(error);
    await client.query('ROLLBACK').catch(onError);
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}
