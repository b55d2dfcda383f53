import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseScript } from '../../engine/steps/script.ts';
import { original } from '../sql/strategy.ts';
import { addPhoto, addUsers, derive, id, rows, sqlStateOf, value } from '../sql/world.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';

/** The strategy's own words fail, ours do not. Each test works in a transaction that is rolled back. */
let database: TestDatabase;
let client: ClientBase;
beforeAll(async () => {
  database = await testDatabase({ template: photomemory });
  client = await database.client();
});
beforeEach(async () => {
  await client.query('BEGIN');
});
afterEach(async () => {
  await client.query('ROLLBACK');
});
afterAll(() => database?.[Symbol.asyncDispose]());

const oursPath = new URL('../../sql/009_optimize_performance.sql', import.meta.url);
const ours = async () => (await parseScript('009', await readFile(oursPath, 'utf8'))).statements;
const summary =
  'SELECT current_plan, total_projects::int AS projects, total_generations::int AS generations, total_storage_bytes::int AS bytes FROM user_analytics_summary';

test('erratum 17: CREATE INDEX CONCURRENTLY does not run in a transaction; ours is a step without one', async () => {
  expect(await sqlStateOf(client.query(await original('009_optimize_performance')))).toBe('25001');
  const script = await parseScript('009', await readFile(oursPath, 'utf8'));
  expect(script.transaction).toBe(false);
  expect(script.statements.filter(({ index }) => index).length).toBe(2);
});

test('erratum 18: a file counts once, however many projects and jobs its user has', async () => {
  await addUsers(client, 1);
  await client.query(`INSERT INTO video_projects (user_id) VALUES ('${id('user', 1)}')`);
  await addPhoto(client, 1, 1);
  await client.query(`INSERT INTO generated_videos (project_id, status, generation_service)
    SELECT '${id('project', 1)}', 'queued', 'luma' FROM generate_series(1, 2)`);
  for (const target of ['user_subscriptions', 'media_files', 'generation_jobs']) await derive(client, target);
  const theirs = /CREATE MATERIALIZED VIEW[\s\S]*?;/.exec(await original('009_optimize_performance'))?.[0] ?? '';
  await client.query(theirs);
  expect(await value(client, 'SELECT total_storage_bytes::int FROM user_analytics_summary')).toBe(3000);
  await client.query('DROP MATERIALIZED VIEW user_analytics_summary');
  for (const { text } of (await ours()).filter(
    (statement) => /user_analytics_summary/.test(statement.text) && !/^DO/.test(statement.text),
  ))
    await client.query(text);
  expect(await rows(client, summary)).toEqual([{ current_plan: 'free', projects: 2, generations: 2, bytes: 1000 }]);
  // Erratum 19: without pg_cron the upkeep refreshes it.
  await client.query('UPDATE media_files SET file_size_bytes = 5');
  expect(await value(client, 'SELECT refresh_user_analytics_summary()')).toBe(true);
  expect(await value(client, 'SELECT total_storage_bytes::int FROM user_analytics_summary')).toBe(5);
});

test('erratum 19: a server without pg_cron is told so, and nothing fails', async () => {
  expect(await sqlStateOf(client.query('CREATE EXTENSION IF NOT EXISTS pg_cron'))).toBeDefined();
  await client.query('ROLLBACK; BEGIN');
  for (const { text } of (await ours()).filter((statement) => /^DO/.test(statement.text.replace(/^(--.*\n)+/, ''))))
    await client.query(text);
  expect(await value(client, 'SELECT refresh_user_analytics_summary()')).toBe(false);
});

test('erratum 20: RAISE NOTICE is no statement', async () => {
  expect(await sqlStateOf(client.query("RAISE NOTICE 'Legacy table cleanup completed successfully.'"))).toBe('42601');
});

test('erratum 21: CREATE TABLE AS has no key, no default, no index, no foreign key', async () => {
  const facts = (table: string) =>
    value<number>(
      client,
      `SELECT (SELECT count(*) FROM pg_constraint WHERE conrelid = $1::regclass AND contype <> 'n')
            + (SELECT count(*) FROM pg_index WHERE indrelid = $1::regclass) + (SELECT count(*) FROM pg_attrdef WHERE adrelid = $1::regclass)`,
      [table],
    );
  await client.query('CREATE TABLE copy AS SELECT * FROM photos');
  expect(Number(await facts('copy'))).toBe(0);
  expect(Number(await facts('photos'))).toBeGreaterThan(5);
});

test('nothing is dropped before the migration is complete, whoever runs 010', async () => {
  const drop = await readFile(new URL('../../sql/010_drop_legacy_tables.sql', import.meta.url), 'utf8');
  expect(await sqlStateOf(client.query(drop))).toBe('P0001');
  await client.query("ROLLBACK; BEGIN; UPDATE lockstep.phase SET phase = 'complete'");
  // Complete, but no validation has proved that legacy is what the normalized tables say.
  expect(await sqlStateOf(client.query(drop))).toBe('P0001');
});
