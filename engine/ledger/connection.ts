import type pg from 'pg';
import { LockstepError } from '../errors.ts';
import { sqlState } from '../sqlstate.ts';

/**
 * Runs `work` on one connection of the pool, set so that what it commits is durable: the slot is confirmed only for
 * messages whose ledger entries survive a crash. The connection is closed afterwards, since its session was changed.
 *
 * @param onLost called when the connection breaks while nothing is being asked of it.
 * @throws LockstepError LS_CONNECTION_LOST when the connection breaks; whatever `work` throws.
 */
export async function withLedgerConnection<T>(
  pool: pg.Pool,
  onLost: (error: Error) => void,
  work: (client: pg.ClientBase) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let lost: Error | undefined;
  client.on('error', (cause) => {
    lost = new LockstepError('LS_CONNECTION_LOST', 'The connection to the ledger (schema lockstep) was lost.', {
      cause,
    });
    onLost(lost);
  });
  try {
    // https://www.postgresql.org/docs/current/wal-async-commit.html: the database or the role may have it off.
    await client.query('SET synchronous_commit = on');
    return await work(client);
  } catch (error) {
    // The query that found the connection dead says less than the connection itself does.
    throw lost && !(error instanceof LockstepError) && sqlState(error) === undefined ? lost : error;
  } finally {
    client.release(true);
  }
}
