import type pg from 'pg';
import { LockstepError } from '../errors.ts';

export interface ApplyLimits {
  /** Changed rows per transaction; each takes one advisory lock. */
  readonly rowsPerTransaction: number;
  /** Scopes per transaction; each takes one advisory lock. */
  readonly scopesPerTransaction: number;
}

export const defaultLimits: ApplyLimits = { rowsPerTransaction: 250, scopesPerTransaction: 500 };
/** Where the server's lock table has room for it: fewer commits and round trips for the same rows. */
const roomyLimits: ApplyLimits = { rowsPerTransaction: 500, scopesPerTransaction: 1_000 };

/** Fence, targets, tables and their indexes that a merge locks beside rows and scopes. */
const otherLocksPerTransaction = 100;
/** The lock table is shared with the application; we plan to fill at most this part of it. */
const ourShare = 0.8;

/** @returns how many locks the table holds, how many merges may take, and whether that fits. */
export function lockBudget(
  server: { maxLocksPerTransaction: number; maxConnections: number; maxPreparedTransactions: number },
  concurrency: number,
  limits: ApplyLimits,
): { capacity: number; needed: number; fits: boolean } {
  // https://www.postgresql.org/docs/current/runtime-config-locks.html#GUC-MAX-LOCKS-PER-TRANSACTION
  const capacity = server.maxLocksPerTransaction * (server.maxConnections + server.maxPreparedTransactions);
  const needed = concurrency * (limits.rowsPerTransaction + limits.scopesPerTransaction + otherLocksPerTransaction);
  return { capacity, needed, fits: needed <= capacity * ourShare };
}

/**
 * The largest limits at which so many concurrent merges fit the server's lock table; asked at start.
 *
 * @throws LockstepError LS_LOCK_BUDGET with the figures and the setting to change.
 */
export async function limitsWithinBudget(db: Pick<pg.Pool, 'query'>, concurrency: number): Promise<ApplyLimits> {
  const { rows } = await db.query<{ locks: number; connections: number; prepared: number }>(
    `SELECT current_setting('max_locks_per_transaction')::int AS locks, current_setting('max_connections')::int AS connections,
            current_setting('max_prepared_transactions')::int AS prepared`,
  );
  const server = {
    maxLocksPerTransaction: rows[0]?.locks ?? 0,
    maxConnections: rows[0]?.connections ?? 0,
    maxPreparedTransactions: rows[0]?.prepared ?? 0,
  };
  if (lockBudget(server, concurrency, roomyLimits).fits) return roomyLimits;
  const { capacity, needed, fits } = lockBudget(server, concurrency, defaultLimits);
  if (fits) return defaultLimits;
  throw new LockstepError(
    'LS_LOCK_BUDGET',
    `${concurrency} concurrent merges may take ${needed} locks, but the server's lock table holds ${capacity} (max_locks_per_transaction ${server.maxLocksPerTransaction} × max_connections ${server.maxConnections}), of which Lockstep uses at most ${ourShare * 100} %.`,
  );
}
