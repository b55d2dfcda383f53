import { LogicalReplicationService, type Pgoutput, PgoutputPlugin } from 'pg-logical-replication';
import { openReplicationConnection } from '../../engine/capture/connection.ts';
import { createDecoder } from '../../engine/capture/decode.ts';
import { ReplicationStream } from '../../engine/capture/stream.ts';
import { type Lsn, parseLsn } from '../../engine/lsn.ts';
import type { TestDatabase } from '../support/database.ts';

export interface SeenEvent {
  readonly lsn: string;
  readonly message: Pgoutput.Message;
}

export interface LibraryReader extends AsyncDisposable {
  readonly service: LogicalReplicationService;
  readonly events: SeenEvent[];
  readonly errors: Error[];
  /** The text of column `id` of every insert, in order. */
  inserted(): unknown[];
}

type ServiceConfig = ConstructorParameters<typeof LogicalReplicationService>[1];

/** pg-logical-replication's own service, used as its README does. */
export function readWithLibrary(
  database: TestDatabase,
  slot: string,
  publication: string,
  config: ServiceConfig,
  connection: { options?: string } = {},
  onData: (event: SeenEvent) => Promise<void> | void = () => {},
): LibraryReader {
  const events: SeenEvent[] = [];
  const errors: Error[] = [];
  const service = new LogicalReplicationService({ connectionString: database.url, ...connection }, config);
  service.on('error', (error: Error) => errors.push(error));
  const receive: (lsn: string, message: Pgoutput.Message) => void = (lsn, message) => {
    events.push({ lsn, message });
    return onData({ lsn, message });
  };
  service.on('data', receive);
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] });
  service.subscribe(plugin, slot).catch((error: Error) => errors.push(error));
  return {
    service,
    events,
    errors,
    inserted: () => insertedIds(events),
    [Symbol.asyncDispose]: () => service.destroy().then(() => undefined),
  };
}

export interface OurReader extends AsyncDisposable {
  readonly stream: ReplicationStream;
  readonly events: { readonly message: Pgoutput.Message }[];
  readonly failures: Error[];
  inserted(): unknown[];
}

/** Lockstep's stream of a slot, as the listener uses it. */
export async function readWithOurs(
  database: TestDatabase,
  slot: string,
  publication: string,
  options: {
    readonly statusEveryMs?: number;
    readonly options?: string;
    /** Called with each message first; what it throws is a message that cannot be read. */
    readonly onData?: (payload: Buffer) => void;
  } = {},
): Promise<OurReader> {
  const events: { message: Pgoutput.Message }[] = [];
  const failures: Error[] = [];
  const decode = createDecoder(publication);
  const connection = await openReplicationConnection({
    connectionString: database.url,
    ...(options.options && { options: options.options }),
  });
  const stream = await ReplicationStream.start(connection, {
    slotName: slot,
    publicationName: publication,
    reader: {
      onData(payload) {
        options.onData?.(payload);
        events.push({ message: decode(payload) });
        return true;
      },
      onKeepalive() {},
    },
    onFailure: (error) => failures.push(error),
    statusEveryMs: options.statusEveryMs ?? 10_000,
    stallTimeoutMs: 60_000,
  });
  stream.resumeFrom(await positionOf(database, slot));
  return { stream, events, failures, inserted: () => insertedIds(events), [Symbol.asyncDispose]: () => stream.close() };
}

function insertedIds(events: readonly { readonly message: Pgoutput.Message }[]): unknown[] {
  return events.flatMap(({ message }) => (message.tag === 'insert' ? [String(message.new.id)] : []));
}

export async function createSlots(database: TestDatabase, ...slots: string[]): Promise<void> {
  for (const slot of slots)
    await database.pool.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
}

export async function positionOf(database: TestDatabase, slot: string): Promise<Lsn> {
  const { rows } = await database.pool.query(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  return parseLsn(rows[0].lsn);
}

/** Everything that a slot would send, without taking it. */
export async function peek(database: TestDatabase, slot: string, publication: string): Promise<Pgoutput.Message[]> {
  const decode = createDecoder(publication);
  const { rows } = await database.pool.query<{ data: Buffer }>(
    "SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)",
    [slot, publication],
  );
  return rows.map(({ data }) => decode(data));
}

/** Two transactions that ran at the same time: the first to commit, then the second, their COMMIT records one after the other. */
export async function twoAtOnce(database: TestDatabase, first: string, second: string): Promise<void> {
  const [one, two] = await Promise.all([database.client(), database.client()]);
  await one.query('BEGIN');
  await two.query('BEGIN');
  await two.query(second);
  await one.query(first);
  await Promise.all([one.query('COMMIT'), two.query('COMMIT')]);
  await Promise.all([one.end(), two.end()]);
}
