import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runListener } from '../../engine/capture/listener.ts';
import { isOutage, superviseListener } from '../../engine/capture/supervise.ts';
import { LockstepError } from '../../engine/errors.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { environment } from '../../infra/contract.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { breakStream, captured, createPhotos, engineSchema, Inbox } from './support.ts';

interface Supervised {
  readonly database: TestDatabase;
  readonly migration: Migration;
  readonly inbox: Inbox;
  readonly signal: AbortSignal;
  readonly telemetry?: Telemetry;
}

/** A listener that stands by when it must, and does not wait after an outage. */
function supervise(
  { database, migration, inbox, signal, telemetry = silent }: Supervised,
  onCapturing = () => {},
): Promise<void> {
  return superviseListener({
    signal,
    telemetry,
    clock: { nowMs: () => Date.now(), pauseMs: async () => void (await turn()) },
    run: (onWell) =>
      runListener({
        replication: { connectionString: database.url },
        pool: database.pool,
        directionName: 'forward',
        direction: migration.forward,
        publisher: inbox,
        telemetry,
        shards: 4,
        signal,
        standby: true,
        limits: { standbyPollMs: 20 },
        onStandby: onWell,
        onCapturing() {
          onCapturing();
          onWell();
        },
      }),
  });
}

test('a supervised listener outlives the loss of its stream and of its ledger connection', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const stopping = new AbortController();
  let lives = 0;
  const supervised = supervise({ database, migration, inbox, signal: stopping.signal }, () => {
    lives += 1;
  });
  await eventually(() => lives === 1);
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await breakStream(database);
  await eventually(() => lives === 2);
  await database.pool.query('INSERT INTO photos VALUES (2)');
  await captured(database);
  await database.pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );
  await eventually(() => lives === 3);
  await database.pool.query('INSERT INTO photos VALUES (3)');
  await captured(database);
  stopping.abort();
  await supervised;
  expect(inbox.keys()).toEqual(new Set(['1', '2', '3']));
});

test('one that stands by outlives the loss of its connection, and takes over later', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const seen: string[] = [];
  const start = (name: string, signal: AbortSignal) => {
    const telemetry: Telemetry = { ...silent, log: (_, event) => void seen.push(`${name} ${event}`) };
    return supervise({ database, migration, inbox, signal, telemetry });
  };
  const count = (line: string) => seen.filter((one) => one === line).length;
  const [first, second] = [new AbortController(), new AbortController()];
  const capturing = start('first', first.signal);
  await eventually(() => count('first listener.capturing') === 1);
  const standing = start('second', second.signal);
  await eventually(() => count('second listener.standby') === 1);
  // Both ledger connections; the stream stays, so that the first one may have the slot again.
  await database.pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );
  await eventually(() => count('first listener.outage') > 0 && count('second listener.outage') > 0);
  await eventually(() => count('first listener.capturing') + count('second listener.capturing') === 2);
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await captured(database);
  first.abort();
  await capturing;
  await eventually(() => count('second listener.capturing') > 0);
  await database.pool.query('INSERT INTO photos VALUES (2)');
  await captured(database);
  second.abort();
  await standing;
  expect(inbox.keys()).toEqual(new Set(['1', '2']));
});

test('a mistake is not an outage', async () => {
  const attempts: number[] = [];
  const supervised = superviseListener({
    signal: new AbortController().signal,
    telemetry: silent,
    clock: { nowMs: () => 0, pauseMs: async () => {} },
    run: async (onCapturing) => {
      onCapturing();
      attempts.push(attempts.length);
      throw attempts.length < 3
        ? new LockstepError('LS_CONNECTION_LOST', 'lost')
        : new LockstepError('LS_SLOT_FOREIGN', 'not ours');
    },
  });
  await expect(supervised).rejects.toMatchObject({ code: 'LS_SLOT_FOREIGN' });
  expect(attempts).toHaveLength(3);
});

test('before the first change an outage is a mistake, unless the settings have been proved to be right', async () => {
  const supervised = (proven: boolean) => {
    const errors = [
      new LockstepError('LS_CONNECTION_LOST', 'lost'),
      new LockstepError('LS_READ_REPLICA', 'still the former primary'),
      new LockstepError('LS_SECRET_UNREADABLE', 'not answered'),
      new LockstepError('LS_DATABASE_TLS', 'a torn handshake', {
        cause: Object.assign(new Error('said'), { code: 'EPROTO' }),
      }),
      new LockstepError('LS_WAL_LEVEL', 'a mistake in any case'),
    ];
    return superviseListener({
      signal: new AbortController().signal,
      telemetry: silent,
      proven,
      clock: { nowMs: () => 0, pauseMs: async () => {} },
      run: async () => Promise.reject(errors.shift()),
    });
  };
  await expect(supervised(false)).rejects.toMatchObject({ code: 'LS_CONNECTION_LOST' });
  await expect(supervised(true)).rejects.toMatchObject({ code: 'LS_WAL_LEVEL' });
});

test('who is refused by a password is not let in by asking again', () => {
  const refused = (code: string) =>
    new LockstepError('LS_DATABASE_REFUSED', 'refused', {
      cause: Object.assign(new Error('said'), { code, severity: 'FATAL' }),
    });
  expect(['53300', '28P01', '28000', '3D000'].map((code) => isOutage(refused(code)))).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test('a server that is short of connections for a while is an outage, and one that lets the role in no more is not', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const role = `role_of_${database.name}`;
  const admin = await database.client();
  await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1`);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'secret';
  const env = { [environment.databaseUrl]: url.href };
  const open = () => openDatabase({ applicationName: 'test', max: 1, env });
  const seen: unknown[] = [];
  let lives = 0;
  try {
    await using others = new AsyncDisposableStack();
    others.use(await open());
    const supervised = superviseListener({
      signal: new AbortController().signal,
      telemetry: { ...silent, log: (_, event, fields) => void seen.push([event, fields?.code]) },
      clock: {
        nowMs: () => 0,
        async pauseMs() {
          if (lives > 1) return;
          await others.disposeAsync();
          // Its connection counts until the server has ended it.
          const gone = 'SELECT FROM pg_stat_activity WHERE usename = $1';
          await eventually(async () => (await admin.query(gone, [role])).rowCount === 0);
        },
      },
      async run(onCapturing) {
        onCapturing();
        lives += 1;
        await using _database = await open();
        await admin.query(`ALTER ROLE ${role} NOLOGIN`);
        throw new LockstepError('LS_CONNECTION_LOST', 'lost');
      },
    });
    await expect(supervised).rejects.toMatchObject({ code: 'LS_DATABASE_REFUSED' });
  } finally {
    await admin.query(`DROP ROLE ${role}`);
  }
  expect([lives, seen]).toEqual([
    3,
    [
      ['listener.outage', 'LS_DATABASE_REFUSED'],
      ['listener.outage', 'LS_CONNECTION_LOST'],
    ],
  ]);
});
