/** A commit is in the WAL before others can see it; its message must not overtake it. */
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { runListener } from '../../engine/capture/listener.ts';
import { visibleIn } from '../../engine/capture/visibility.ts';
import { readFrame, statusUpdate } from '../../engine/capture/wire.ts';
import type { Lsn } from '../../engine/lsn.ts';
import type { OutgoingMessage } from '../../engine/message/message.ts';
import { silent } from '../../engine/telemetry.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { createPhotos, engineSchema, Inbox } from './support.ts';

/** A synchronous standby as far as the server can tell: it has flushed all it received, and applied what it is told to. */
class Standby {
  readonly client: pg.Client;
  applies = true;
  #flushed: Lsn = 0n;

  constructor(url: string) {
    this.client = new pg.Client({
      connectionString: url,
      application_name: 'standby',
      ...({ replication: 'true' } as object),
    });
    this.client.on('error', () => {});
  }

  async start(from: string): Promise<void> {
    await this.client.connect();
    const { connection } = this.client as unknown as {
      connection: {
        on(event: 'copyData', on: (message: { chunk: Buffer }) => void): void;
        sendCopyFromChunk(chunk: Buffer): void;
      };
    };
    connection.on('copyData', ({ chunk }) => {
      const frame = readFrame(chunk);
      const end = frame.kind === 'keepalive' ? frame.walEnd : chunk.readBigUInt64BE(1) + BigInt(frame.payload.length);
      if (end > this.#flushed) this.#flushed = end;
      this.answer();
    });
    this.client.query(`START_REPLICATION PHYSICAL ${from}`).catch(() => {});
  }

  answer(): void {
    const update = statusUpdate(this.#flushed, Date.now(), false);
    if (!this.applies) update.writeBigUInt64BE(0n, 17);
    const { connection } = this.client as unknown as { connection: { sendCopyFromChunk(chunk: Buffer): void } };
    connection.sendCopyFromChunk(update);
  }
}

test('a message waits until the change that it names can be seen', { timeout: 60_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPostgres({ major: inject('postgresMajor'), fsync: false }));
  const pool = stack.adopt(new pg.Pool({ connectionString: postgres.url() }), (opened) => opened.end());
  pool.on('error', () => {});
  await engineSchema.build(pool);
  const migration = await createPhotos(pool);

  const inbox = new Inbox(migration);
  const seenWhenSent: number[] = [];
  const publisher = {
    async publish(messages: readonly OutgoingMessage[], signal: AbortSignal) {
      if (messages.some(({ body }) => body.includes('"changes"'))) {
        seenWhenSent.push((await pool.query('SELECT FROM photos WHERE id = 1')).rowCount ?? 0);
      }
      await inbox.publish(messages, signal);
    },
  };
  const stopping = new AbortController();
  const ended = runListener({
    replication: { connectionString: postgres.url() },
    pool,
    directionName: 'forward',
    direction: migration.forward,
    publisher,
    telemetry: silent,
    shards: 4,
    signal: stopping.signal,
  });
  stack.defer(async () => {
    stopping.abort();
    await ended;
  });
  await eventually(async () => (await pool.query('SELECT FROM pg_replication_slots WHERE active')).rowCount);

  const standby = new Standby(postgres.url());
  stack.defer(() => standby.client.end());
  await standby.start(
    (await pool.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn')).rows[0]?.lsn ?? '',
  );
  await pool.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
  await pool.query('SELECT pg_reload_conf()');
  await eventually(
    async () => (await pool.query("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'")).rowCount,
  );

  standby.applies = false;
  const application = new pg.Client({ connectionString: postgres.url() });
  await application.connect();
  stack.defer(() => application.end());
  await application.query('SET synchronous_commit = remote_apply');
  const committing = application.query("INSERT INTO photos VALUES (1, 'a')");

  // Its commit record is flushed, decoded and in the ledger, but the transaction is still going on for everyone else.
  await eventually(async () => (await pool.query("SELECT FROM lockstep.in_flight WHERE kind = 'changes'")).rowCount);
  expect((await pool.query('SELECT FROM photos WHERE id = 1')).rowCount).toBe(0);
  // What was sent by now was sent too early; give a listener that does not wait the time to show it.
  await eventually(
    async () =>
      (
        await pool.query(
          "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_current_snapshot%' AND pid <> pg_backend_pid()",
        )
      ).rowCount,
    { timeoutMs: 1_000 },
  ).catch(() => undefined);
  expect(inbox.changes).toEqual([]);

  standby.applies = true;
  standby.answer();
  await committing;
  await eventually(() => inbox.changes.length > 0);
  expect(seenWhenSent).toEqual([1]);
  await pool.query('ALTER SYSTEM RESET synchronous_standby_names');
  await pool.query('SELECT pg_reload_conf()');
});

test('a snapshot tells what it does not see: running transactions and later ones, also when ids have wrapped around', () => {
  expect(visibleIn('10:20:', 15)).toBe(true);
  expect(visibleIn('10:20:15', 15)).toBe(false);
  expect(visibleIn('10:20:', 20)).toBe(false);
  expect(visibleIn('10:20:12,15', 9)).toBe(true);
  // Epoch 1: ids 4294967290 (epoch 0) and 5 (epoch 1).
  expect(visibleIn('4294967290:4294967306:4294967301', 4294967290)).toBe(true);
  expect(visibleIn('4294967290:4294967306:4294967301', 5)).toBe(false);
  expect(visibleIn('4294967290:4294967306:', 9)).toBe(true);
  expect(visibleIn('4294967290:4294967306:', 10)).toBe(false);
});
