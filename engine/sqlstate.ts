/**
 * What an error asks for, decided by SQLSTATE and never by message text.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export type Remedy =
  /** Connection, lock, serialization, shutdown, resources: the same work will succeed later. */
  | 'retry'
  /** Data exception or constraint violation: some scope holds a row that the target refuses. */
  | 'data'
  /** A mistake in the migration, its rights or the engine: no repetition mends it. */
  | 'stop';

const retryClasses = new Set([
  '08', // connection exception
  '40', // transaction rollback: serialization failure, deadlock
  '53', // insufficient resources: too many connections, out of memory, disk full
  '57', // operator intervention: shutdown, cancelled, statement timeout
  '58', // system error
]);
const retryStates = new Set([
  '55P03', // lock not available: lock_timeout
  '55006', // object in use
  '25006', // read-only transaction: we are still connected to what was the primary before a failover
  '25P03', // idle-in-transaction timeout
  '25P04', // transaction timeout
  '28P01', // the password was rotated a moment ago; the next connection fetches it again
]);
/** What pg and its pool say when a connection breaks or does not come about; they give no code. */
const driverSays = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Client has encountered a connection error and is not queryable',
  'There was an error establishing an SSL connection',
  // No answer within the time that was set for one: as good as lost.
  'Query read timeout',
  'timeout expired',
  'timeout exceeded when trying to connect',
]);
const dataClasses = new Set([
  '22', // data exception
  '23', // integrity constraint violation
]);

/** The SQLSTATE of an error of the server, or undefined (Node's own errors have codes such as ECONNRESET). */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error ? error.code : undefined;
}

/** Whether the driver, which gives no code then, says that there was no connection, or no longer. */
export function driverLostConnection(error: unknown): boolean {
  return error instanceof Error && !('code' in error) && driverSays.has(error.message);
}

/**
 * @param connectionLost whether the connection that the error came from is gone; then all but what the server itself has said means `retry`.
 */
export function remedyFor(error: unknown, connectionLost: boolean): Remedy {
  const state = sqlState(error);
  if (state !== undefined) {
    if (retryStates.has(state) || retryClasses.has(state.slice(0, 2))) return 'retry';
    if (dataClasses.has(state.slice(0, 2))) return 'data';
    return 'stop';
  }
  if (connectionLost || driverLostConnection(error)) return 'retry';
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  // Errors of the socket or the resolver: ECONNREFUSED, ECONNRESET, ETIMEDOUT, EAI_AGAIN… Most ERR_ are mistakes of a program.
  return typeof code === 'string' && /^(E(?!RR_)[A-Z_]+|ERR_(SSL|STREAM|SOCKET)_\w+)$/.test(code) ? 'retry' : 'stop';
}
