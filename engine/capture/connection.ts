import pg from 'pg';
import { connectionLost } from '../connection.ts';
import { LockstepError } from '../errors.ts';
import { sqlState } from '../sqlstate.ts';
import { textRows } from '../text-query.ts';

/** The parts of pg's connection that streaming needs and its types leave out. */
interface Wire {
  readonly stream: { pause(): void; resume(): void; destroy(): void };
  on(event: 'copyData', listener: (message: { readonly chunk: Buffer }) => void): void;
  once(event: 'replicationStart', listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** A connection in replication mode: it takes replication commands, then carries a stream. */
export interface ReplicationConnection {
  readonly client: pg.Client;
  readonly wire: Wire;
  readonly serverPid: number;
  /** Of this role on this server; 0 when it never times out. */
  readonly walSenderTimeoutMs: number;
  command(text: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Keys are compared and sent as text, so the text must be the same whatever the role or the database has set: ISO, UTC,
 * shortest exact floats, hex. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 */
const canonicalText =
  '-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex';

const closeWithinMs = 2_000;

/**
 * Connects in replication mode (straight to the server: a pooler or RDS Proxy refuses it).
 *
 * @throws LockstepError LS_REPLICATION_PRIVILEGE, LS_WAL_SENDERS_EXHAUSTED, LS_CONNECTION_LOST.
 */
export async function openReplicationConnection(config: pg.ClientConfig): Promise<ReplicationConnection> {
  const client = new pg.Client({
    ...config,
    // `replication` is a startup parameter that pg passes on and its types leave out.
    ...({ replication: 'database' } as object),
    application_name: 'lockstep listener',
    options: [config.options, canonicalText].filter(Boolean).join(' '),
    keepAlive: true,
    query_timeout: 0,
    statement_timeout: false,
  });
  // A connection that breaks also fails the command that runs on it, which is where it is handled.
  client.on('error', () => {});
  try {
    await client.connect();
    const [setting] = await textRows<{ setting: string }>(
      client,
      `SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'`,
    );
    const { connection: wire, processID: serverPid } = client as unknown as { connection: Wire; processID: number };
    return {
      client,
      wire,
      serverPid,
      walSenderTimeoutMs: Number(setting?.setting ?? 0),
      async command(text) {
        try {
          await client.query(text);
        } catch (error) {
          throw asOurs(error, client);
        }
      },
      close: () => endWithin(client, wire),
    };
  } catch (error) {
    const ours = asOurs(error, client);
    await client.end().catch(() => undefined);
    throw ours;
  }
}

async function endWithin(client: pg.Client, wire: Wire): Promise<void> {
  const deadline = setTimeout(() => wire.stream.destroy(), closeWithinMs);
  await client.end().catch(() => undefined);
  clearTimeout(deadline);
}

/** Errors of the server to a replication command, decided by SQLSTATE; the driver's have none and mean a lost connection. */
function asOurs(cause: unknown, client: pg.Client): unknown {
  switch (sqlState(cause)) {
    case '42501':
      return new LockstepError(
        'LS_REPLICATION_PRIVILEGE',
        'The role of the replication connection may not replicate.',
        { cause },
      );
    case '53300':
      return new LockstepError(
        'LS_WAL_SENDERS_EXHAUSTED',
        'The server accepts no further replication connection (max_wal_senders or max_connections).',
        { cause },
      );
    case '53400':
      return new LockstepError(
        'LS_SLOTS_EXHAUSTED',
        'The server has no room for another replication slot (max_replication_slots).',
        { cause },
      );
    case undefined:
      return connectionLost(client)
        ? new LockstepError('LS_CONNECTION_LOST', `The replication connection was lost (${reason(cause)}).`, { cause })
        : cause;
    default:
      return cause;
  }
}

const reason = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
