import type { TestDatabase } from './database.ts';

/** Far longer than a slow machine needs, shorter than a test may take. */
const patienceMs = 200_000;

/**
 * Waits for `work`; when that hangs, fails with what every process of the server was doing, in any database: the making
 * of a slot waits for the transactions of all of them.
 */
export async function withoutHanging<T>(database: TestDatabase, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      tellOf(database).then(
        (processes) => reject(new Error(`${what} hangs after ${patienceMs} ms:\n${processes.join('\n')}`)),
        reject,
      );
    }, patienceMs);
  });
  try {
    return await Promise.race([work, hanging]);
  } finally {
    clearTimeout(timer);
  }
}

async function tellOf(database: TestDatabase): Promise<string[]> {
  const client = await database.client();
  const { rows } = await client.query<{ process: string }>(
    `SELECT concat_ws(' | ', pid, datname, backend_type, application_name, state, wait_event_type, wait_event, backend_xid,
              'transaction for ' || (clock_timestamp() - xact_start), 'blocked by ' || pg_blocking_pids(pid)::text, left(query, 150)) AS process
     FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender', 'autovacuum worker') ORDER BY pid`,
  );
  return rows.map(({ process }) => process);
}
