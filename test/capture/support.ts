import type pg from 'pg';
import { type ListenerOptions, runListener } from '../../engine/capture/listener.ts';
import { slotName } from '../../engine/capture/names.ts';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { type Lsn, parseLsn } from '../../engine/lsn.ts';
import { decode } from '../../engine/message/codec.ts';
import type {
  BackfillMessage,
  ChangedRow,
  ChangesMessage,
  Message,
  OutgoingMessage,
  Publisher,
} from '../../engine/message/message.ts';
import type { Direction, Migration, Source } from '../../engine/migration/contract.ts';
import { silent } from '../../engine/telemetry.ts';
import type { DatabaseTemplate, TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { runEngineSchema } from '../support/photomemory.ts';
import { withoutHanging } from '../support/without-hanging.ts';

export const engineSchema: DatabaseTemplate = {
  name: 'engine_schema',
  async build(pool) {
    await runEngineSchema(pool);
  },
};

/** Two targets: the first reads every source, the second only the first source. Nothing here ever derives them. */
export function migrationOf(...sources: Source[]): Migration {
  const relation = { schema: 'public', name: 'unused' };
  const target = { relation, view: relation, scope: ['id'], writes: 'rows', walk: [] } as const;
  const all = Object.fromEntries(sources.map((source) => [source.name, 'SELECT']));
  const first = Object.fromEntries(sources.slice(0, 1).map((source) => [source.name, 'SELECT']));
  const forward: Direction = {
    sources,
    targets: [
      { ...target, name: 'of all', scopesOf: all },
      { ...target, name: 'of the first', scopesOf: first },
    ],
  };
  return { name: 'capture test', forward };
}

export const photos: Source = {
  name: 'photos',
  relation: { schema: 'public', name: 'photos' },
  key: ['id'],
  routing: ['project_id'],
};

/** A table with a key, a routing column and something big beside them; published. */
export async function createPhotos(db: Pick<pg.Pool, 'query'>): Promise<Migration> {
  await db.query('CREATE TABLE photos (id integer PRIMARY KEY, project_id text, title text, big text)');
  const migration = migrationOf(photos);
  await ensurePublication(db as pg.Pool, 'forward', migration.forward);
  return migration;
}

/** A queue that keeps everything, and takes nothing while it is closed. */
export class Inbox implements Publisher {
  readonly messages: Message[] = [];
  readonly outgoing: OutgoingMessage[] = [];
  readonly #migration: Migration;
  #gate: Promise<void> = Promise.resolve();
  open: () => void = () => {};

  constructor(migration: Migration) {
    this.#migration = migration;
  }

  close(): void {
    this.#gate = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  async publish(outgoing: readonly OutgoingMessage[], signal: AbortSignal): Promise<void> {
    await Promise.race([
      this.#gate,
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ]);
    for (const sent of outgoing) {
      const { message, malformed } = decode(sent.body, this.#migration);
      if (!message) throw new Error(malformed);
      this.messages.push(message);
      this.outgoing.push(sent);
    }
  }

  get changes(): ChangesMessage[] {
    return this.messages.filter((message) => message.kind === 'changes');
  }

  get backfills(): BackfillMessage[] {
    return this.messages.filter((message) => message.kind === 'backfill');
  }

  /** Every row named of a source, in order of arrival. */
  rows(source = 'photos'): ChangedRow[] {
    return this.changes.flatMap((message) => message.rows[source] ?? []);
  }

  /** The first key column of every row named of a source, without repetition. */
  keys(source = 'photos'): Set<string | null> {
    return new Set(this.rows(source).map((row) => row[0] ?? null));
  }
}

export interface RunningListener extends AsyncDisposable {
  /** Resolves when it has ended; rejects with what ended it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export type ListenerOverrides = Partial<ListenerOptions>;

/** Starts a listener and waits until changes flow. */
export async function startListener(
  database: TestDatabase,
  migration: Migration,
  publisher: Publisher,
  overrides: ListenerOverrides = {},
): Promise<RunningListener> {
  const stopping = new AbortController();
  const { promise: capturing, resolve } = Promise.withResolvers<void>();
  const ended = runListener({
    replication: { connectionString: database.url },
    pool: database.pool,
    directionName: 'forward',
    direction: migration.forward,
    publisher,
    telemetry: silent,
    shards: 4,
    signal: stopping.signal,
    onCapturing: resolve,
    ...overrides,
    limits: { idleConfirmMs: 50, standbyPollMs: 20, ...overrides.limits },
  });
  ended.catch(() => undefined);
  await withoutHanging(database, 'the start of a listener', Promise.race([capturing, ended]));
  const stop = async () => {
    stopping.abort();
    await withoutHanging(database, 'the stop of a listener', ended);
  };
  return {
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended.catch(() => undefined);
    },
  };
}

/** The confirmed position of the forward slot. */
export async function confirmed(database: TestDatabase): Promise<Lsn> {
  const { rows } = await database.pool.query<{ lsn: string }>(
    'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slotName('forward', database.name)],
  );
  return parseLsn(rows[0]?.lsn ?? '');
}

/** Waits until everything that has committed so far has been captured. */
export async function captured(database: TestDatabase): Promise<void> {
  const { rows } = await database.pool.query<{ lsn: string }>(
    "SELECT pg_logical_emit_message(true, 'test', '')::text AS lsn",
  );
  const lsn = parseLsn(rows[0]?.lsn ?? '');
  await eventually(async () => (await confirmed(database)) >= lsn);
}

export async function ledger(
  database: TestDatabase,
): Promise<{ id: string; kind: string; commit_lsn: string; key_count: number }[]> {
  const { rows } = await database.pool.query(
    'SELECT id, kind, commit_lsn::text, key_count FROM lockstep.in_flight ORDER BY seq',
  );
  return rows;
}

/** As if an applier had done with the first start's backfill. */
export async function endBackfill(pool: Pick<pg.Pool, 'query'>): Promise<void> {
  await pool.query(
    `WITH ended AS (DELETE FROM lockstep.in_flight WHERE kind = 'backfill' RETURNING id, direction)
     INSERT INTO lockstep.backfill (id, direction, reason, finished_at) SELECT id, direction, 'first start', now() FROM ended`,
  );
}

/** Ends the walsender that serves the forward slot, as a network or a failover would. */
export async function breakStream(database: TestDatabase): Promise<void> {
  await eventually(async () => {
    const { rowCount } = await database.pool.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
      [slotName('forward', database.name)],
    );
    return rowCount;
  });
}
