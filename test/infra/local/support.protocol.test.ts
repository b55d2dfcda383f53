import { expect, test } from 'vitest';
import { testDatabase } from '../../support/database.ts';

const marked = {
  name: 'marked',
  build: async (pool: { query(sql: string): Promise<unknown> }) => {
    await pool.query('CREATE TABLE mark (built timestamptz DEFAULT clock_timestamp())');
    await pool.query('INSERT INTO mark DEFAULT VALUES');
  },
};

test('a test database runs on the version of its project, and decodes its WAL', async () => {
  await using database = await testDatabase();
  const { rows } = await database.pool.query(
    "SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('wal_level') AS wal, current_database() AS name",
  );
  expect(rows).toEqual([{ major: database.major, wal: 'logical', name: database.name }]);
});

test('a template is built once and copied', async () => {
  await using first = await testDatabase({ template: marked });
  await using second = await testDatabase({ template: marked });
  const built = (database: typeof first) => database.pool.query('SELECT built FROM mark');
  expect((await built(first)).rows).toEqual((await built(second)).rows);
});

test('slots are dropped with the database', async () => {
  let name: string;
  {
    await using database = await testDatabase();
    name = database.name;
    await database.pool.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [`slot_${name}`]);
  }
  await using other = await testDatabase();
  const left = await other.pool.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  const slots = await other.pool.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [`slot_${name}`]);
  expect([left.rowCount, slots.rowCount]).toEqual([0, 0]);
});

test('a connection left behind fails the test, and is closed', async () => {
  const { Client } = (await import('pg')).default;
  const database = await testDatabase();
  const stray = new Client({ connectionString: database.url, application_name: 'stray' });
  stray.on('error', () => {});
  await stray.connect();
  await expect(database[Symbol.asyncDispose]()).rejects.toThrow(/left behind[\s\S]*client backend stray/);
});
