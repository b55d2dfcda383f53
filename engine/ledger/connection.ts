import type pg from 'pg';
import { cutConnection } from '../connection.ts';
import { LockstepError } from '../errors.ts';
import { driverLostConnection, sqlState } from '../sqlstate.ts';

/**
 * Runs `work` on one connection of the pool, set so that what it commits is durable: the slot is confirmed only for
 * messages whose ledger entries survive a crash. The connection is closed afterwards, since its session was changed.
 *
 * @param broken aborted when there is no point in waiting for the server any longer: the connection is cut then.
 * @param onLost called when the connection breaks while nothing is being asked of it.
 * @throws LockstepError LS_CONNECTION_LOST when there is no connection, or it breaks; whatever `work` throws.
 */
export async function withLedgerConnection<T>(
  pool: pg.Pool,
  broken: AbortSignal,
  onLost: (error: Error) => void,
  work: (client: pg.ClientBase) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((cause: unknown) => {
    // The driver's own errors have no code that would say so.
    throw driverLostConnection(cause) ? connectionError('could not be made', cause) : cause;
  });
  let lost: Error | undefined;
  client.on('error', (cause) => {
    lost = connectionError('was lost', cause);
    onLost(lost);
  });
  const cut = () => cutConnection(client);
  broken.addEventListener('abort', cut);
  try {
    // https://www.postgresql.org/docs/current/wal-async-commit.html: the database or the role may have it off.
    await client.query('SET synchronous_commit = on');
    return await work(client);
  } catch (error) {
    // The query that found the connection dead says less than the connection itself does.
    throw lost && !(error instanceof LockstepError) && sqlState(error) === undefined ? lost : error;
  } finally {
    broken.removeEventListener('abort', cut);
    client.release(true);
  }
}

function connectionError(how: string, cause: unknown): LockstepError {
  return new LockstepError('LS_CONNECTION_LOST', `The connection to the ledger (schema lockstep) ${how}.`, { cause });
}
