import { setTimeout as delay } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import pg from 'pg';

/** How long DDL may keep others waiting, and how long it tries. */
export interface LockLimits {
  /** Writers queue up behind DDL that waits for a table, so it gives up after this long, and comes again. */
  readonly lockTimeoutMs: number;
  /** Altogether, for one step. */
  readonly patienceMs: number;
  /** Between two tries: from this, doubled up to ten times this. */
  readonly pauseMs: number;
}

export const defaultLockLimits: LockLimits = { lockTimeoutMs: 1000, patienceMs: 120_000, pauseMs: 100 };

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: lock_not_available, deadlock_detected */
const lockStates = new Set(['55P03', '40P01']);

export function isLockFailure(error: unknown): boolean {
  return error instanceof pg.DatabaseError && lockStates.has(error.code ?? '');
}

/** Repeats `attempt` while it fails for want of a lock, until `patienceMs` has passed; then throws what it threw last. */
export async function withLockRetries<T>(
  { patienceMs, pauseMs }: LockLimits,
  attempt: () => Promise<T>,
  onRetry: (error: unknown) => void,
): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (let pause = pauseMs; ; pause = Math.min(pause * 2, pauseMs * 10)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isLockFailure(error) || performance.now() + pause > giveUpAt) throw error;
      onRetry(error);
      await delay(pause);
    }
  }
}

interface OpenTransaction {
  readonly pid: number;
  readonly application: string;
  readonly seconds: number;
}

/** A sentence that names the oldest open transactions of this database: one of them holds the lock. */
export async function describeOpenTransactions(client: ClientBase): Promise<string> {
  const { rows } = await client.query<OpenTransaction>(`
    SELECT pid, application_name AS application,
           extract(epoch FROM clock_timestamp() - xact_start)::integer AS seconds
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
     ORDER BY xact_start LIMIT 3`);
  if (rows.length === 0) return 'No open transaction is visible any more.';
  const named = rows.map(({ pid, application, seconds }) => `pid ${pid} (${application || 'unnamed'}, ${seconds} s)`);
  return `Oldest open transactions: ${named.join(', ')}.`;
}
