import type { ClientBase } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { inventory, legacyOnly, original, repaired, strategySchema } from './strategy.ts';
import { addPhoto, addUsers, id, rows, sqlStateOf, value, writeOrphans } from './world.ts';

/**
 * The strategy's own SQL (`strategy/`, word by word) on a real server: nothing of it is missing in ours, and what the
 * errata say of it is true. That ours does better is shown by the tests of the same errata in errata.protocol,
 * schema.protocol and functions, and of the counts in counts.
 */
let database: TestDatabase;
/** Each test works in a transaction that is rolled back. */
let client: ClientBase;
beforeAll(async () => {
  database = await testDatabase({ template: strategySchema });
  client = await database.client();
});
beforeEach(async () => {
  await client.query('BEGIN');
});
afterEach(async () => {
  await client.query('ROLLBACK');
});
afterAll(() => database?.[Symbol.asyncDispose]());

/** Runs a statement that may fail; the transaction goes on. */
async function failureOf(sql: string): Promise<string | undefined> {
  await client.query('SAVEPOINT s');
  const state = await sqlStateOf(client.query(sql));
  await client.query('ROLLBACK TO SAVEPOINT s');
  return state;
}
const migrateSubscriptions = () => original('004_migrate_subscription_data');
const migrateMedia = () => repaired('005_migrate_media_files');
const migrateJobs = () => original('006_migrate_generation_jobs');
const counts = async () =>
  Object.fromEntries(
    (await rows<{ check_name: string; status: string }>(client, 'SELECT * FROM validate_migration_consistency()')).map(
      ({ check_name, status }) => [check_name, status],
    ),
  );
const addVideo = (n: number, columns = "'completed', 'u', now()") =>
  client.query(`INSERT INTO generated_videos (id, project_id, generation_service, status, file_url, completed_at)
    VALUES ('${id('video', n)}', '${id('project', 1)}', 'luma', ${columns})`);

const cascades = 'ON UPDATE CASCADE ON DELETE CASCADE';
const outlives = 'ON UPDATE CASCADE ON DELETE SET NULL';

test('every table, column, index, constraint, function and plan of phases 1 to 3 exists in ours, as it is or as departed from', async () => {
  await using ours = await testDatabase({ template: photomemory });
  const have = await inventory(await ours.client());
  const theirs = await inventory(client);
  expect(theirs.size).toBeGreaterThan(200);
  const departures = [...theirs].filter(([name, definition]) => have.get(name) !== definition);
  expect(Object.fromEntries(departures.map(([name]) => [name, have.get(name)]))).toEqual({
    // Erratum 5: the index of an exclusion constraint.
    'index idx_user_subscriptions_active':
      "CREATE INDEX idx_user_subscriptions_active ON public.user_subscriptions USING btree (user_id) WHERE (status = 'active'::subscription_status)",
    // Swaps within one transaction, as erratum 13.
    'constraint user_subscriptions user_subscriptions_stripe_subscription_id_key':
      'UNIQUE (stripe_subscription_id) DEFERRABLE',
    'constraint project_media project_media_project_id_media_file_id_key':
      'UNIQUE (project_id, media_file_id) DEFERRABLE',
    'constraint project_media project_media_project_id_display_order_key':
      'UNIQUE (project_id, display_order) DEFERRABLE',
    // The application's own deletes and changes of keys do not fail on rows that it does not know: see 001.
    'constraint user_subscriptions user_subscriptions_user_id_fkey': `FOREIGN KEY (user_id) REFERENCES users(id) ${cascades}`,
    'constraint media_files media_files_user_id_fkey': `FOREIGN KEY (user_id) REFERENCES users(id) ${cascades}`,
    'constraint project_media project_media_project_id_fkey': `FOREIGN KEY (project_id) REFERENCES video_projects(id) ${cascades}`,
    'constraint generation_jobs generation_jobs_project_id_fkey': `FOREIGN KEY (project_id) REFERENCES video_projects(id) ${cascades}`,
    'constraint generation_jobs generation_jobs_user_id_fkey': `FOREIGN KEY (user_id) REFERENCES users(id) ${cascades}`,
    'constraint generation_jobs generation_jobs_output_file_id_fkey':
      'FOREIGN KEY (output_file_id) REFERENCES media_files(id) ON DELETE SET NULL',
    'constraint system_settings system_settings_updated_by_fkey': `FOREIGN KEY (updated_by) REFERENCES users(id) ${outlives}`,
    'constraint audit_logs audit_logs_user_id_fkey': `FOREIGN KEY (user_id) REFERENCES users(id) ${outlives}`,
    'constraint audit_logs_2024_01 audit_logs_user_id_fkey': `FOREIGN KEY (user_id) REFERENCES users(id) ${outlives}`,
    // Declared STABLE: its counts come from one snapshot.
    'function validate_migration_consistency':
      ' -> TABLE(check_name text, status text, old_count bigint, new_count bigint, difference bigint) s',
  });
});

test('every check of the strategy is among ours', async () => {
  await using ours = await testDatabase({ template: photomemory });
  const names = await rows<{ check_name: string }>(
    ours.pool,
    'SELECT check_name FROM validate_migration_consistency()',
  );
  expect(names.map(({ check_name }) => check_name)).toEqual(expect.arrayContaining(Object.keys(await counts())));
});

test('errata 1 and 3: 001 does not run, with the types it uses and without them', async () => {
  await using legacy = await testDatabase({ template: legacyOnly });
  const foundation = await original('001_create_normalized_tables');
  expect(await sqlStateOf(legacy.pool.query(foundation))).toBe('0A000');
  await legacy.pool.query('DROP TYPE subscription_status CASCADE');
  expect(await sqlStateOf(legacy.pool.query(foundation))).toBe('42704');
});

test('erratum 2: an audit event of today has no partition', async () => {
  expect(await failureOf("SELECT log_audit_event(NULL, 'login', 'user')")).toBe('23514');
});

test('erratum 4: a user with two active subscriptions breaks the migration of all', async () => {
  await addUsers(client, 1, 2);
  await client.query(`INSERT INTO subscriptions (user_id) VALUES ('${id('user', 1)}'), ('${id('user', 1)}')`);
  expect(await failureOf(await migrateSubscriptions())).toBe('23505');
});

test('erratum 5: the active subscription cannot be swapped in one transaction', async () => {
  await addUsers(client, 1);
  await client.query(`INSERT INTO subscriptions (id, user_id, status) VALUES
    ('${id('subscription', 1)}', '${id('user', 1)}', 'active'), ('${id('subscription', 2)}', '${id('user', 1)}', 'expired')`);
  await client.query(await migrateSubscriptions());
  const swap = `SET CONSTRAINTS ALL DEFERRED; UPDATE user_subscriptions SET status = 'active' WHERE status = 'expired'`;
  expect(await failureOf(swap)).toBe('23505');
});

test('erratum 6: a second run makes other rows', async () => {
  await addUsers(client, 1);
  const ids: unknown[] = [];
  for (const _ of [1, 2]) {
    await client.query(await migrateSubscriptions());
    ids.push(await value(client, 'SELECT id FROM user_subscriptions'));
    await client.query('DELETE FROM user_subscriptions');
  }
  expect(ids[0]).not.toEqual(ids[1]);
});

test('erratum 7: an unknown plan breaks the migration of all', async () => {
  await addUsers(client, 1, 2);
  await client.query(`UPDATE users SET subscription_plan = 'gold' WHERE id = '${id('user', 1)}'`);
  expect(await failureOf(await migrateSubscriptions())).toBe('23503');
});

test('erratum 8: once a generated video has its media file, the count of files fails for ever', async () => {
  await addUsers(client, 1);
  await addPhoto(client, 1, 1);
  await client.query(await migrateMedia());
  expect(await counts()).toMatchObject({ media_migration: 'PASS' });
  await addVideo(1);
  await client.query(await migrateJobs());
  expect(await counts()).toMatchObject({ media_migration: 'FAIL', generation_migration: 'PASS' });
});

test('erratum 9: a user with two subscriptions fails the count', async () => {
  await addUsers(client, 1);
  await client.query(
    `INSERT INTO subscriptions (user_id, status) VALUES ('${id('user', 1)}', 'active'), ('${id('user', 1)}', 'expired')`,
  );
  await client.query(await migrateSubscriptions());
  expect(await counts()).toMatchObject({ subscription_migration: 'FAIL' });
});

test('erratum 10: the media file of a generated video has another id each time', async () => {
  await addUsers(client, 1);
  await addVideo(1);
  const ids: unknown[] = [id('video', 1)];
  for (const _ of [1, 2]) {
    await client.query(await migrateJobs());
    ids.push(await value(client, "SELECT id FROM media_files WHERE file_type = 'video'"));
    await client.query('UPDATE generation_jobs SET output_file_id = NULL; DELETE FROM media_files');
  }
  expect(new Set(ids).size).toBe(3);
});

test('erratum 11: a video with a file that is not completed breaks the migration of all', async () => {
  await addUsers(client, 1);
  await addVideo(1, "'processing', 'u', NULL");
  expect(await failureOf(await migrateJobs())).toBe('23502');
});

test.each([
  ['original_filename', null, '23502'],
  ['mime_type', null, '23502'],
  ['file_size_bytes', null, '23502'],
  ['original_filename', 'n'.repeat(256), '22001'],
])('erratum 12: a photo whose %s is %s breaks the migration of all', async (column, given, state) => {
  await addUsers(client, 1);
  await addPhoto(client, 1, 1, { [column]: given });
  await addPhoto(client, 2, 1);
  expect(await failureOf(await migrateMedia())).toBe(state);
});

test('erratum 13: photos of one number, or of none, break the migration of all; places cannot be swapped', async () => {
  await addUsers(client, 1);
  await addPhoto(client, 1, 1);
  await addPhoto(client, 2, 1, { upload_order: 1 });
  expect(await failureOf(await migrateMedia())).toBe('23505');
  await client.query(`UPDATE photos SET upload_order = NULL WHERE id = '${id('photo', 2)}'`);
  expect(await failureOf(await migrateMedia())).toBe('23502');
  await client.query(`UPDATE photos SET upload_order = 2 WHERE id = '${id('photo', 2)}'`);
  await client.query(await migrateMedia());
  const swap = 'SET CONSTRAINTS ALL DEFERRED; UPDATE project_media SET display_order = 2 WHERE display_order = 1';
  expect(await failureOf(swap)).toBe('23505');
});

test('erratum 14: orphans vanish, and the counts never match', async () => {
  await addUsers(client, 1);
  await client.query('COMMIT');
  try {
    await writeOrphans(
      client,
      `INSERT INTO photos (project_id, original_filename, file_url, mime_type, file_size_bytes, upload_order)
       VALUES ('${id('project', 9)}', 'f', 'u', 'image/png', 1, 1)`,
    );
    // The relation to a project that does not exist is refused, for all.
    expect(await sqlStateOf(client.query(await migrateMedia()))).toBe('23503');
    await client.query('UPDATE photos SET project_id = NULL');
    expect(await sqlStateOf(client.query(await migrateMedia()))).toBe('23502');
    await writeOrphans(
      client,
      `DELETE FROM photos; INSERT INTO generated_videos (project_id, generation_service) VALUES ('${id('project', 9)}', 'luma')`,
    );
    await client.query(await migrateJobs());
    expect(await counts()).toMatchObject({ generation_migration: 'FAIL' });
  } finally {
    await client.query('TRUNCATE users CASCADE');
    await client.query('BEGIN');
  }
});

test('erratum 15: step 009 makes an index that is there already', async () => {
  const [again] = (await original('009_optimize_performance')).match(
    /CREATE INDEX CONCURRENTLY idx_user_subscriptions_period_end[^;]+/,
  ) ?? [''];
  await client.query(again.replace('CONCURRENTLY', ''));
  const definitions = await rows<{ same: string }>(
    client,
    `SELECT regexp_replace(indexdef, 'INDEX \\S+', '') AS same FROM pg_indexes WHERE indexname LIKE 'idx_user_subscriptions_period%'`,
  );
  expect([definitions.length, new Set(definitions.map(({ same }) => same)).size]).toEqual([2, 1]);
});

test('erratum 16: limits are wrong at the edges', async () => {
  await addUsers(client, 1);
  await client.query(await migrateSubscriptions());
  await client.query("UPDATE user_subscriptions SET current_period_end = 'infinity'");
  const may = (limit: string, amount: number) =>
    value(client, 'SELECT check_user_limit($1, $2, $3)', [id('user', 1), limit, amount]);
  await client.query(`INSERT INTO media_files (user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes)
    VALUES ('${id('user', 1)}', 'f', 'k', 'u', 'image', 'image/png', 0.4 * 1024 ^ 3)`);
  // 0.4 GB is rounded to 0, and another whole one is said to fit into 1.
  expect(await may('storage_gb', 1)).toBe(true);
  await client.query('INSERT INTO video_projects (user_id, status) SELECT id, NULL FROM users, generate_series(1, 5)');
  // Six projects of three, but five have no status.
  expect(await may('projects', 2)).toBe(true);
});

test('erratum 24: the monitoring queries name what does not exist', async () => {
  const statements = (await original('monitoring')).split(';').filter((statement) => statement.includes('SELECT'));
  const failures: (string | undefined)[] = [];
  for (const statement of statements) failures.push(await failureOf(statement));
  // No migration_backup yet; tablename; pg_stat_statements.
  expect(failures).toEqual([undefined, '42P01', '42703', '42P01']);
});

test('erratum 28: a status that the new schema does not know breaks the migration of all', async () => {
  await addUsers(client, 1);
  await client.query('ALTER TABLE generated_videos ALTER status DROP DEFAULT, ALTER status TYPE TEXT');
  await addVideo(1);
  await addVideo(2, "'paused', 'u', now()");
  expect(await failureOf(await migrateJobs())).toBe('22P02');
});
