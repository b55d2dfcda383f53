export interface SessionOptions {
  /** Default: none. */
  readonly statementTimeoutMs?: number;
  /** A transaction that waits for its client longer than this is ended, with its locks. Default 60,000. */
  readonly idleInTransactionTimeoutMs?: number;
  /** The server refuses every write of the session. */
  readonly readOnly?: boolean;
}

/**
 * The SQL that every session begins with: the text forms of values are the same whatever the server's, the database's
 * or the role's defaults are, and unqualified names mean the schema `public`. Statements rather than startup options,
 * which RDS Proxy does not take (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html).
 */
export function sessionSettings({
  statementTimeoutMs = 0,
  idleInTransactionTimeoutMs = 60_000,
  readOnly = false,
}: SessionOptions): string {
  const settings = {
    DateStyle: 'ISO, MDY',
    IntervalStyle: 'postgres',
    TimeZone: 'UTC',
    extra_float_digits: '1',
    bytea_output: 'hex',
    search_path: 'public',
    statement_timeout: String(statementTimeoutMs),
    idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
    ...(readOnly ? { default_transaction_read_only: 'on' } : {}),
  };
  return Object.entries(settings)
    .map(([name, value]) => `SET ${name} TO ${name === 'search_path' ? value : `'${value}'`}`)
    .join('; ');
}
