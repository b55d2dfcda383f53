import type { ClientBase } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { migration } from '../../sql/migration.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { addPhoto, addUsers, derive, id, rows, writeOrphans } from './world.ts';

let database: TestDatabase;
/** Each test works in a transaction that is rolled back. */
let client: ClientBase;
beforeAll(async () => {
  database = await testDatabase({ template: photomemory });
  client = await database.client();
  await addUsers(client, 1, 2);
  await addPhoto(client, 1, 1);
  await addPhoto(client, 2, 2);
  await client.query(`
    INSERT INTO subscriptions (id, user_id, status) VALUES
      ('${id('subscription', 1)}', '${id('user', 1)}', 'active'), ('${id('subscription', 2)}', '${id('user', 1)}', 'expired');
    INSERT INTO media_items (id, user_id, file_url, file_size_bytes) VALUES ('${id('item', 1)}', '${id('user', 1)}', 'u', 7);
    INSERT INTO generated_videos (id, project_id, generation_service, status, file_url, completed_at) VALUES
      ('${id('video', 1)}', '${id('project', 1)}', 'luma', 'completed', 'u', now())`);
  await writeOrphans(
    client,
    `INSERT INTO photos (project_id, file_url) VALUES ('${id('project', 9)}', 'u'), (NULL, 'u');
     INSERT INTO media_items (user_id, file_url) VALUES ('${id('user', 9)}', 'u');
     INSERT INTO generated_videos (project_id, generation_service, file_url) VALUES ('${id('project', 9)}', 'luma', 'u')`,
  );
  for (const { name } of migration.forward.targets) await derive(client, name);
});
beforeEach(async () => {
  await client.query('BEGIN');
});
afterEach(async () => {
  await client.query('ROLLBACK');
});
afterAll(() => database?.[Symbol.asyncDispose]());

type Check = { check_name: string; status: string; old_count: string; new_count: string; difference: string };

const all = async () =>
  rows<Check>(
    client,
    'SELECT * FROM validate_migration_consistency() UNION ALL SELECT * FROM validate_business_rules()',
  );
const failing = async () =>
  (await all())
    .filter(({ status }) => status === 'FAIL')
    .map(({ check_name }) => check_name)
    .sort();

test('errata 8, 9 and 14: users with several subscriptions, generated videos and orphans fail no count', async () => {
  const counts = await all();
  expect(counts.map(({ status }) => status)).toEqual(counts.map(() => 'PASS'));
  expect(Object.fromEntries(counts.map(({ check_name, old_count }) => [check_name, old_count]))).toEqual({
    subscription_migration: '2',
    subscription_rows: '3',
    media_migration: '4',
    media_migration_photos: '2',
    media_migration_media_items: '1',
    media_migration_generated_videos: '1',
    generation_migration: '1',
    project_media_relationships: '2',
    one_active_subscription: '2',
    plan_of_active_subscription: '2',
    storage_bytes_of_user: '2007',
    videos_this_month_of_user: '1',
    project_media_of_project_owner: '2',
    output_file_of_job_owner: '1',
  });
});

const [userOne, userTwo] = [id('user', 1), id('user', 2)];

test.each([
  [
    'a user without any subscription',
    `DELETE FROM user_subscriptions WHERE user_id = '${userTwo}'`,
    ['one_active_subscription', 'plan_of_active_subscription', 'subscription_migration', 'subscription_rows'],
  ],
  [
    'one subscription of two missing',
    `DELETE FROM user_subscriptions WHERE id = '${id('subscription', 2)}'`,
    ['subscription_rows'],
  ],
  [
    'nothing active',
    `UPDATE user_subscriptions SET status = 'expired' WHERE user_id = '${userOne}'`,
    ['one_active_subscription', 'plan_of_active_subscription'],
  ],
  [
    'another plan',
    `UPDATE user_subscriptions SET plan_id = 'pro' WHERE user_id = '${userTwo}'`,
    ['plan_of_active_subscription'],
  ],
  [
    'a library file missing',
    `DELETE FROM media_files WHERE id = '${id('item', 1)}'`,
    ['media_migration', 'media_migration_media_items', 'storage_bytes_of_user'],
  ],
  [
    'a photo missing, and with it its place',
    `DELETE FROM media_files WHERE id = '${id('photo', 2)}'`,
    ['media_migration', 'media_migration_photos', 'project_media_relationships', 'storage_bytes_of_user'],
  ],
  [
    'a video’s file missing',
    `DELETE FROM media_files WHERE id = '${id('video', 1)}'`,
    ['media_migration', 'media_migration_generated_videos'],
  ],
  [
    'a file too many',
    `INSERT INTO media_files (user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes)
     VALUES ('${userOne}', 'f', 'k', 'u', 'image', 'image/png', 0)`,
    ['media_migration'],
  ],
  [
    'two users whose sums differ and whose total does not',
    `UPDATE media_files SET file_size_bytes = CASE id WHEN '${id('photo', 1)}' THEN 999 ELSE 1001 END
     WHERE id IN ('${id('photo', 1)}', '${id('photo', 2)}')`,
    ['storage_bytes_of_user'],
  ],
  ['a job missing', 'DELETE FROM generation_jobs', ['generation_migration', 'videos_this_month_of_user']],
  [
    'a job of another month',
    "UPDATE generation_jobs SET completed_at = completed_at - interval '2 months'",
    ['videos_this_month_of_user'],
  ],
  [
    'files of another user',
    `UPDATE media_files SET user_id = CASE user_id WHEN '${userOne}' THEN '${userTwo}' ELSE '${userOne}' END::uuid
     WHERE id IN ('${id('photo', 1)}', '${id('photo', 2)}')`,
    ['project_media_of_project_owner'],
  ],
  [
    'the output of another user',
    `UPDATE media_files SET user_id = '${userTwo}' WHERE id = '${id('video', 1)}'`,
    ['output_file_of_job_owner'],
  ],
])('%s: the checks about it fail, and no others', async (_, damage, expected) => {
  await client.query(damage);
  expect(await failing()).toEqual(expected);
});

test('what is in quarantine is left out of both sides', async () => {
  await client.query(`DELETE FROM media_files WHERE id = '${id('item', 1)}'`);
  await client.query(
    `INSERT INTO lockstep.quarantine (direction, target, scope, sqlstate, message) VALUES ('forward', 'media_files', ARRAY['${id('item', 1)}'], '22001', 'too long')`,
  );
  expect(await failing()).toEqual([]);
});
