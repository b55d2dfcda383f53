/** Connections that break, or worse, do not. */

import pg from 'pg';
import { expect, test } from 'vitest';
import { runListener } from '../../engine/capture/listener.ts';
import { withLedgerConnection } from '../../engine/ledger/connection.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startNetwork } from '../support/network.ts';
import { captured, createPhotos, engineSchema, Inbox, ledger, startListener } from './support.ts';

const unbroken = new AbortController().signal;

test('a server that is silently gone is noticed, also in the middle of a round', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await using network = await startNetwork(database.url);
  await using stack = new AsyncDisposableStack();
  const pool = stack.adopt(new pg.Pool({ connectionString: network.url }), (ended) => ended.end());
  await using listener = await startListener(database, migration, new Inbox(migration), {
    replication: { connectionString: network.url },
    pool,
    limits: { statusEveryMs: 50, stallTimeoutMs: 2_000 },
  });
  await captured(database);
  // A round waits for the ledger's answer, which will never come.
  const blocker = await database.client();
  await blocker.query('BEGIN; LOCK lockstep.in_flight');
  await database.pool.query('INSERT INTO photos VALUES (1)');
  const waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  await eventually(async () => (await database.pool.query(waiting)).rowCount === 1);
  network.fallSilent();
  await expect(listener.ended).rejects.toMatchObject({
    code: 'LS_CONNECTION_LOST',
    message: expect.stringContaining('has sent nothing'),
  });
  await blocker.query('ROLLBACK');
});

test.each([
  [
    'an idle server is not taken for one that is gone',
    async ({ pool }: TestDatabase) => {
      const { rows } = await pool.query("SELECT clock_timestamp() + interval '1.2 seconds' AS until");
      await eventually(
        async () => (await pool.query('SELECT clock_timestamp() > $1 AS over', [rows[0].until])).rows[0].over,
      );
    },
  ],
  [
    'a process that was frozen for longer than the server may be silent does not take that for silence',
    () => {
      const untilMs = Date.now() + 1_200;
      while (Date.now() < untilMs);
    },
  ],
])('%s', async (_, meanwhile) => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  await using _listener = await startListener(database, migration, inbox, {
    limits: { statusEveryMs: 50, stallTimeoutMs: 400 },
  });
  await captured(database);
  await meanwhile(database);
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await captured(database);
  expect(inbox.keys()).toEqual(new Set(['1']));
});

test('a broken stream ends a round that waits for the queue', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  await using listener = await startListener(database, migration, inbox);
  await captured(database);
  inbox.close();
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await eventually(async () => (await ledger(database)).some(({ kind }) => kind === 'changes'));
  await database.pool.query(
    'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active',
  );
  await expect(listener.ended).rejects.toMatchObject({ code: 'LS_CONNECTION_LOST' });
  expect(inbox.changes).toEqual([]);
});

test('a queue that stands still does not keep a listener from ending', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const events: string[] = [];
  const telemetry: Telemetry = { ...silent, log: (_, event) => events.push(event) };
  const listener = await startListener(database, migration, inbox, { telemetry, limits: { finishWithinMs: 50 } });
  await captured(database);
  inbox.close();
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await eventually(async () => (await ledger(database)).some(({ kind }) => kind === 'changes'));
  await listener.stop();
  expect(events).toContain('listener.round-given-up');
  inbox.open();
  await using _next = await startListener(database, migration, inbox);
  await captured(database);
  expect(inbox.keys()).toEqual(new Set(['1']));
});

test('an idle listener that was superseded ends', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await using listener = await startListener(database, migration, new Inbox(migration), {
    limits: { heartbeatMs: 20 },
  });
  const seen = await database.pool.query('SELECT listener_seen_at::text AS at FROM lockstep.stream');
  await eventually(
    async () =>
      (
        await database.pool.query('SELECT FROM lockstep.stream WHERE listener_seen_at > $1::timestamptz', [
          seen.rows[0].at,
        ])
      ).rowCount,
  );
  await database.pool.query('UPDATE lockstep.stream SET epoch = epoch + 1');
  await expect(listener.ended).rejects.toMatchObject({ code: 'LS_LISTENER_SUPERSEDED' });
});

test('the ledger is durable even where the database is set to lose commits', async () => {
  await using database = await testDatabase({ template: engineSchema });
  // Not through the pool, whose connection would keep the setting it began with.
  const setter = await database.client();
  await setter.query(`ALTER DATABASE ${database.name} SET synchronous_commit = off`);
  const show = 'SHOW synchronous_commit';
  const other = await database.client();
  expect((await other.query(show)).rows).toEqual([{ synchronous_commit: 'off' }]);
  const lost: Error[] = [];
  const setting = await withLedgerConnection(
    database.pool,
    unbroken,
    (error) => lost.push(error),
    async (client) => (await client.query(show)).rows,
  );
  expect(setting).toEqual([{ synchronous_commit: 'on' }]);
  const terminated = withLedgerConnection(
    database.pool,
    unbroken,
    (error) => lost.push(error),
    async (client) => {
      const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
      await other.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
      await eventually(() => lost.length > 0);
      return client.query('SELECT 1');
    },
  );
  await expect(terminated).rejects.toMatchObject({ code: 'LS_CONNECTION_LOST' });
});

test('a ledger connection that breaks as it is made is lost, and not a mistake', async () => {
  await using database = await testDatabase({ template: engineSchema });
  await using network = await startNetwork(database.url);
  const pool = new pg.Pool({ connectionString: network.url });
  for (const answer of [1, 2]) {
    const cut = network.cutAtAnswer(answer);
    const connected = withLedgerConnection(
      pool,
      unbroken,
      () => {},
      async () => 'never',
    );
    await expect(connected).rejects.toMatchObject({ code: 'LS_CONNECTION_LOST' });
    await cut;
  }
  await pool.end();
});

test('a ledger connection that breaks while the slot is being made ends the wait for it', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await using stack = new AsyncDisposableStack();
  const config = { connectionString: database.url, application_name: 'ledger' };
  const pool = stack.adopt(new pg.Pool(config), (ended) => ended.end());
  const open = await database.client();
  await open.query('BEGIN; SELECT pg_current_xact_id()');
  const ended = runListener({
    replication: { connectionString: database.url },
    pool,
    directionName: 'forward',
    direction: migration.forward,
    publisher: new Inbox(migration),
    telemetry: silent,
    shards: 4,
    signal: unbroken,
  });
  ended.catch(() => undefined);
  const making =
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE_REPLICATION_SLOT%'";
  await eventually(async () => (await database.pool.query(making)).rowCount === 1);
  await database.pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ledger'",
  );
  await expect(ended).rejects.toMatchObject({ code: 'LS_CONNECTION_LOST' });
  await open.query('ROLLBACK');
  await eventually(async () => (await database.pool.query(making)).rowCount === 0);
});
