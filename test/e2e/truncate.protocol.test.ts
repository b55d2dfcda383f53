import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { seedLegacy } from '../../sql/seed.ts';
import { addPhoto, addUsers, value } from '../sql/world.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 120_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** Dirty rows in every legacy table, as far as the test before has not left them there. */
beforeEach(async () => {
  await seedLegacy(world.app, { users: 30 });
  await world.sync();
}, 120_000);

/** How many rows each kind of normalized row has. */
const counts = async () =>
  await value<Record<string, number>>(
    world.app,
    `SELECT json_build_object(
       'subscribed', (SELECT count(*) FROM user_subscriptions u JOIN subscriptions s ON s.id = u.id),
       'photos', (SELECT count(*) FROM media_files WHERE file_key LIKE 'legacy/photos/%'),
       'items', (SELECT count(*) FROM media_files WHERE file_key LIKE 'legacy/media/%'),
       'videos', (SELECT count(*) FROM media_files WHERE file_key LIKE 'generated/videos/%'),
       'placed', (SELECT count(*) FROM project_media),
       'jobs', (SELECT count(*) FROM generation_jobs))`,
  );

/** By statement: which kinds of rows are gone afterwards. All others stay as they are. */
const truncations: Record<string, readonly string[]> = {
  'TRUNCATE subscriptions': ['subscribed'],
  'TRUNCATE photos': ['photos', 'placed'],
  'TRUNCATE media_items': ['items'],
  'TRUNCATE generated_videos': ['videos', 'jobs'],
  'TRUNCATE photos, media_items, generated_videos': ['photos', 'placed', 'items', 'videos', 'jobs'],
  // Beyond the legacy tables, the foreign keys lead to normalized tables: those are emptied by the same statement,
  // of rows that must come back.
  'TRUNCATE video_projects CASCADE': ['photos', 'placed', 'videos', 'jobs'],
  'TRUNCATE users CASCADE': ['subscribed', 'photos', 'items', 'videos', 'placed', 'jobs'],
};

test.each(Object.entries(truncations))('%s', async (statement, gone) => {
  const before = await counts();
  expect(Object.values(before).every((count) => count > 0)).toBe(true);
  await world.app.query(statement);
  await world.sync();
  const expected = Object.entries(before).map(([kind, count]) => [kind, gone.includes(kind) ? 0 : count]);
  expect(await counts()).toEqual(Object.fromEntries(expected));
});

test('a table is truncated and filled again in one transaction', async () => {
  await addUsers(world.app, 40);
  await world.app.query('BEGIN; TRUNCATE photos');
  await addPhoto(world.app, 401, 40);
  await world.app.query('COMMIT');
  await addPhoto(world.app, 402, 40);
  await world.sync();
  expect(await counts()).toMatchObject({ photos: 2, placed: 2 });
});

test('a truncation that is rolled back is none', async () => {
  const before = await counts();
  await world.app.query('BEGIN; TRUNCATE photos; ROLLBACK');
  await world.sync();
  expect(await counts()).toEqual(before);
});
