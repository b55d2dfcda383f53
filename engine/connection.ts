import type { Socket } from 'node:net';
import type pg from 'pg';

/** Whether the connection is gone. */
export function connectionLost(client: pg.ClientBase): boolean {
  const socket = socketOf(client);
  return socket?.destroyed === true || socket?.writable === false;
}

/** Ends a connection at once, and with it every query that waits for an answer of a server that may be gone. */
export function cutConnection(client: pg.ClientBase): void {
  socketOf(client)?.destroy();
}

/** pg keeps it under `connection.stream`; its typings leave that out. */
function socketOf(client: pg.ClientBase): Socket | undefined {
  return (client as unknown as { connection?: { stream?: Socket } }).connection?.stream;
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
