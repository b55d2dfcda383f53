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
 * Why the planner is given orders: planning a merge takes longer than a small merge itself, so a connection keeps its plan
 * for many (`prepared`, `isPlanTime`), and it must be right for tables that are empty now and large in a minute. By index
 * it is right for both. https://www.postgresql.org/docs/current/runtime-config-query.html
 */

/**
 * Opens a merge's transaction: READ COMMITTED, so that each statement's snapshot is younger than the locks taken before
 * it; constraints that can wait are checked when all is written; the fence and further locks taken; durable when it
 * commits, because the queue forgets the message then.
 */
export async function beginMerge(client: pg.ClientBase, direction: DirectionName, locks: TableLocks): Promise<void> {
  await client.query(beginSql(direction, locks, isPlanTime(client)));
}

const begun = new WeakMap<pg.ClientBase, number>();

/**
 * Whether a connection's plans are made anew: one that was made while a target was empty and analyzed as such reads all of
 * it later on, in each merge, until the next ANALYZE. After 1, 2, 4, … merges, and then each 64: planning takes as long as
 * a small merge. (The planner asks for a table's present size: https://www.postgresql.org/docs/current/planner-stats.html)
 */
function isPlanTime(client: pg.ClientBase): boolean {
  const count = (begun.get(client) ?? 0) + 1;
  begun.set(client, count);
  return count < 64 ? Number.isInteger(Math.log2(count)) : count % 64 === 0;
}

interface TableLocks {
  readonly shared?: readonly LockKey[];
  readonly exclusive?: readonly LockKey[];
}

function beginSql(direction: DirectionName, locks: TableLocks, plansAnew: boolean): string {
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
     ${plansAnew ? 'DISCARD PLANS;' : ''}
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
  const text = `${beginSql(direction, tables, isPlanTime(client))};${fenceSql(direction, rows)}`;
  // A text of several statements is answered with a list, which the typings leave out.
  const results = (await client.query(text)) as unknown as pg.QueryResult<{ active: boolean }>[];
  return results.at(-1)?.rows[0]?.active === true;
}

/**
 * Commits without waiting for the disk (or a synchronous standby). A crash loses the end of the WAL, so it can lose this
 * transaction only together with all that came after it: whoever commits durably later has made this one durable too.
 * For work that is begun again from where it was, and of which nobody is told before such a later commit.
 * https://www.postgresql.org/docs/current/wal-async-commit.html
 */
export async function commitUnawaited(client: pg.ClientBase): Promise<void> {
  await client.query('SET LOCAL synchronous_commit = off; COMMIT');
}

/** A statement whose plan each connection keeps (see `isPlanTime`); the server knows it by a name made of its text. */
export function prepared(text: string): { name: string; text: string } {
  return { name: `lockstep_${hash('md5', text).slice(0, 16)}`, text };
}

/** Takes exclusive locks in the order given. `next`: statements to go with it. */
export async function takeLocks(client: pg.ClientBase, locks: readonly LockKey[], next = ''): Promise<void> {
  await client.query(`SELECT count(pg_advisory_xact_lock(k)) FROM ${numbers(locks)};${next}`);
}
