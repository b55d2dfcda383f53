import pg from 'pg';
import { expect, test } from 'vitest';
import { slotName } from '../../engine/capture/names.ts';
import { ensurePublication, readPublication } from '../../engine/capture/publication.ts';
import type { ErrorCode } from '../../engine/errors.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import {
  captured,
  createPhotos,
  engineSchema,
  Inbox,
  type ListenerOverrides,
  migrationOf,
  photos,
  startListener,
} from './support.ts';

/** Starts a listener that must not start. */
async function refusal(
  database: TestDatabase,
  migration: Migration,
  overrides: ListenerOverrides = {},
): Promise<ErrorCode> {
  const error: unknown = await startListener(database, migration, new Inbox(migration), overrides).then(
    (listener) => listener.stop(),
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'LockstepError', entry: { remedy: expect.any(String) } });
  return (error as { code: ErrorCode }).code;
}

const slotsOf = async (database: TestDatabase) =>
  (await database.pool.query('SELECT slot_name FROM pg_replication_slots WHERE database = current_database()')).rows;

const unfit: [string, string, ErrorCode][] = [
  ['does not exist', 'CREATE TABLE elsewhere (id int)', 'LS_SOURCE_MISSING'],
  ['lacks a column', 'CREATE TABLE photos (id int PRIMARY KEY)', 'LS_SOURCE_MISSING'],
  ['has no primary key', 'CREATE TABLE photos (id int NOT NULL, project_id text)', 'LS_SOURCE_KEY'],
  [
    'has another primary key',
    'CREATE TABLE photos (id int, project_id text, PRIMARY KEY (id, project_id))',
    'LS_SOURCE_KEY',
  ],
  [
    'has a deferrable primary key',
    'CREATE TABLE photos (id int PRIMARY KEY DEFERRABLE, project_id text)',
    'LS_SOURCE_IDENTITY',
  ],
  [
    'has replica identity full',
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text); ALTER TABLE photos REPLICA IDENTITY FULL',
    'LS_SOURCE_IDENTITY',
  ],
  [
    'has replica identity nothing',
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text); ALTER TABLE photos REPLICA IDENTITY NOTHING',
    'LS_SOURCE_IDENTITY',
  ],
  [
    'is identified by another index',
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text NOT NULL UNIQUE); ALTER TABLE photos REPLICA IDENTITY USING INDEX photos_project_id_key',
    'LS_SOURCE_IDENTITY',
  ],
  [
    'is partitioned',
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text) PARTITION BY RANGE (id)',
    'LS_SOURCE_KIND',
  ],
  [
    'has heirs',
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text); CREATE TABLE heirs () INHERITS (photos)',
    'LS_SOURCE_KIND',
  ],
  ['is unlogged', 'CREATE UNLOGGED TABLE photos (id int PRIMARY KEY, project_id text)', 'LS_SOURCE_KIND'],
  ['is a view', 'CREATE VIEW photos AS SELECT 1 AS id, 2 AS project_id', 'LS_SOURCE_KIND'],
  [
    'generates a column',
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text GENERATED ALWAYS AS (id::text) STORED)',
    'LS_SOURCE_KIND',
  ],
];

test.each(unfit)('a source that %s is neither published nor captured', async (_, ddl, code) => {
  await using database = await testDatabase({ template: engineSchema });
  await database.pool.query(ddl);
  const migration = migrationOf(photos);
  await expect(ensurePublication(database.pool, 'forward', migration.forward)).rejects.toMatchObject({ code });
  expect(await readPublication(database.pool, 'lockstep_forward')).toBeUndefined();
  expect(await refusal(database, migration)).toBe(code);
  expect(await slotsOf(database)).toEqual([]);
});

test('publishing a table with replica identity full would have stopped the application', async () => {
  await using database = await testDatabase();
  await database.pool.query(
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text); ALTER TABLE photos REPLICA IDENTITY FULL',
  );
  await database.pool.query('INSERT INTO photos VALUES (1); CREATE PUBLICATION careless FOR TABLE photos (id)');
  await expect(database.pool.query('UPDATE photos SET project_id = $$a$$')).rejects.toMatchObject({ code: '42P10' });
});

test('the publication is created, and altered to exactly what the migration declares', async () => {
  await using database = await testDatabase();
  await database.pool.query(
    'CREATE TABLE photos (id int PRIMARY KEY, project_id text, secret text); CREATE TABLE other (id int PRIMARY KEY)',
  );
  const { forward } = migrationOf(photos);
  const apply = () => ensurePublication(database.pool, 'forward', forward);
  expect(await apply()).toBe('created');
  const right = await readPublication(database.pool, 'lockstep_forward');
  expect(right?.tables).toEqual([{ schema: 'public', name: 'photos', columns: ['id', 'project_id'], filter: null }]);
  expect(await apply()).toBe('unchanged');
  const departures = [
    'SET TABLE photos',
    'SET TABLE photos (id)',
    'SET TABLE photos (id, project_id), other',
    'SET TABLE other',
    'SET TABLE photos (id, project_id) WHERE (id > 0)',
    "SET (publish = 'insert, update, delete')",
    'SET (publish_via_partition_root = true)',
  ];
  for (const departure of departures) {
    await database.pool.query(`ALTER PUBLICATION lockstep_forward ${departure}`);
    expect([departure, await apply()]).toEqual([departure, 'altered']);
    expect(await readPublication(database.pool, 'lockstep_forward')).toEqual(right);
  }
  await database.pool.query('INSERT INTO photos VALUES (1); UPDATE photos SET id = 2; DELETE FROM photos');
});

test('a missing or different publication', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await database.pool.query("ALTER PUBLICATION lockstep_forward SET (publish = 'insert')");
  expect(await refusal(database, migration)).toBe('LS_PUBLICATION_DIFFERS');
  await database.pool.query('DROP PUBLICATION lockstep_forward');
  expect(await refusal(database, migration)).toBe('LS_PUBLICATION_MISSING');
  await database.pool.query('CREATE PUBLICATION lockstep_forward FOR ALL TABLES');
  await expect(ensurePublication(database.pool, 'forward', migration.forward)).rejects.toMatchObject({
    code: 'LS_PUBLICATION_DIFFERS',
  });
});

test('changes that committed while there was no publication are missed aloud', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const first = await startListener(database, migration, inbox);
  await captured(database);
  await first.stop();
  await database.pool.query('DROP PUBLICATION lockstep_forward');
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await ensurePublication(database.pool, 'forward', migration.forward);
  await database.pool.query('INSERT INTO photos VALUES (2)');
  // At its first message: before or after the listener counts as capturing.
  const second = startListener(database, migration, inbox).then(({ ended }) => ended);
  await expect(second).rejects.toMatchObject({ code: 'LS_PUBLICATION_GAP' });
});

test('a role that may not replicate', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const role = `plain_${database.name}`;
  await database.pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'plain'`);
  try {
    const url = new URL(database.url);
    url.username = role;
    url.password = 'plain';
    expect(await refusal(database, migration, { replication: { connectionString: url.href } })).toBe(
      'LS_REPLICATION_PRIVILEGE',
    );
  } finally {
    await database.pool.query(`DROP ROLE ${role}`);
  }
});

test('a role that can read no table and use no schema of the application captures its keys', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const role = `listener_${database.name}`;
  const privateTable = { ...photos, relation: { schema: 'private', name: 'photos' } };
  const migration = migrationOf(privateTable);
  await database.pool.query('CREATE SCHEMA private; CREATE TABLE private.photos (id int PRIMARY KEY, project_id text)');
  await ensurePublication(database.pool, 'forward', migration.forward);
  await database.pool.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'listener'`);
  await database.pool.query(
    `GRANT USAGE ON SCHEMA lockstep TO ${role}; GRANT SELECT, INSERT, UPDATE ON lockstep.stream TO ${role};
     GRANT SELECT ON lockstep.phase, lockstep.phase_change, lockstep.armed TO ${role};
     GRANT UPDATE (settled_lsn) ON lockstep.phase_change TO ${role};
     GRANT SELECT, INSERT, DELETE ON lockstep.in_flight, lockstep.backfill, lockstep.backfill_target TO ${role}`,
  );
  const url = new URL(database.url);
  url.username = role;
  url.password = 'listener';
  const pool = new pg.Pool({ connectionString: url.href });
  pool.on('error', () => {});
  try {
    await expect(pool.query('TABLE private.photos')).rejects.toMatchObject({ code: '42501' });
    const inbox = new Inbox(migration);
    const overrides = { pool, replication: { connectionString: url.href } };
    await using _listener = await startListener(database, migration, inbox, overrides);
    await database.pool.query("INSERT INTO private.photos VALUES (1, 'a')");
    await captured(database);
    expect(inbox.rows()).toEqual([['1', 'a']]);
  } finally {
    await pool.end();
    await database.pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('a slot of another plugin or another database is left alone', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const slot = slotName('forward', database.name);
  await database.pool.query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", [slot]);
  expect(await refusal(database, migration)).toBe('LS_SLOT_FOREIGN');
  await database.pool.query('SELECT pg_drop_replication_slot($1)', [slot]);
  await using other = await testDatabase();
  await other.pool.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  expect(await refusal(database, migration)).toBe('LS_SLOT_FOREIGN');
});

test('a transaction that holds up the slot is named, and nothing is left behind', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const long = await database.client();
  await long.query("SET application_name = 'nightly report'");
  await long.query('BEGIN; INSERT INTO photos VALUES (1)');
  // It is waited for after that one, and named with it.
  await using elsewhere = await testDatabase();
  const other = await elsewhere.client();
  await other.query("SET application_name = 'import elsewhere'; BEGIN; SELECT pg_current_xact_id()");
  const told: unknown[] = [];
  const telemetry: Telemetry = {
    ...silent,
    log: (_, event, fields) => event === 'slot.waiting' && told.push(fields?.holders),
  };
  const limits = { slotLookEveryMs: 20, slotTimeoutMs: 5_000 };
  const failed = startListener(database, migration, new Inbox(migration), { telemetry, limits });
  await expect(failed).rejects.toMatchObject({
    code: 'LS_SLOT_BLOCKED',
    message: expect.stringMatching(/(?=.*nightly report).*import elsewhere/),
  });
  await other.query('COMMIT');
  expect(told.flat()).toContainEqual(expect.stringContaining('nightly report'));
  expect(await slotsOf(database)).toEqual([]);

  const waiting = startListener(database, migration, new Inbox(migration), {
    telemetry,
    limits: { ...limits, slotTimeoutMs: 60_000 },
  });
  told.length = 0;
  await eventually(() => told.length > 0);
  await long.query('COMMIT');
  await using _listener = await waiting;
});

test('stopped while it waits for a slot to be made, it ends quietly and leaves nothing behind', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const long = await database.client();
  await long.query('BEGIN; INSERT INTO photos VALUES (1)');
  const stopping = new AbortController();
  const telemetry: Telemetry = { ...silent, log: (_, event) => event === 'slot.waiting' && stopping.abort() };
  const overrides = { telemetry, signal: stopping.signal, limits: { slotLookEveryMs: 20 } };
  const listener = await startListener(database, migration, new Inbox(migration), overrides);
  await listener.ended;
  expect(await slotsOf(database)).toEqual([]);
});
