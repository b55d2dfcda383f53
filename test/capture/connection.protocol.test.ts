/** Connections that break, or worse, do not. */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { withLedgerConnection } from '../../engine/ledger/connection.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { captured, createPhotos, engineSchema, Inbox, ledger, startListener } from './support.ts';

/** Forwards to the server until it is told to swallow everything, as a network does whose state was lost. */
async function proxy(target: string) {
  const { hostname, port } = new URL(target);
  const sockets: Socket[] = [];
  let silence = false;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    sockets.push(client, upstream);
    client.on('error', () => {});
    upstream.on('error', () => {});
    client.on('data', (data) => silence || upstream.write(data));
    upstream.on('data', (data) => silence || client.write(data));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    fallSilent: () => {
      silence = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a connection that is silently gone is noticed', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await using network = await proxy(database.url);
  await using listener = await startListener(database, migration, new Inbox(migration), {
    replication: { connectionString: network.url },
    limits: { statusEveryMs: 50, stallTimeoutMs: 400 },
  });
  await captured(database);
  network.fallSilent();
  await expect(listener.ended).rejects.toMatchObject({
    code: 'LS_CONNECTION_LOST',
    message: expect.stringContaining('has sent nothing'),
  });
});

test('an idle server is not taken for one that is gone', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  await using _listener = await startListener(database, migration, inbox, {
    limits: { statusEveryMs: 50, stallTimeoutMs: 400 },
  });
  const { rows } = await database.pool.query("SELECT clock_timestamp() + interval '1.2 seconds' AS until");
  await eventually(
    async () => (await database.pool.query('SELECT clock_timestamp() > $1 AS over', [rows[0].until])).rows[0].over,
  );
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
    (error) => lost.push(error),
    async (client) => (await client.query(show)).rows,
  );
  expect(setting).toEqual([{ synchronous_commit: 'on' }]);
  const terminated = withLedgerConnection(
    database.pool,
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
