import type { Pool } from 'pg';
import { expect, test } from 'vitest';
import { seedLegacy } from '../../sql/seed.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { value } from './world.ts';

async function seeded(users: number, seed: number) {
  const db = await testDatabase({ template: photomemory });
  const client = await db.client();
  return { ...db, client, written: await seedLegacy(client, { users, seed }) };
}

const content = (pool: Pool) =>
  value(
    pool,
    `SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
       SELECT u::text FROM users u UNION ALL SELECT s::text FROM subscriptions s UNION ALL SELECT p::text FROM photos p
       UNION ALL SELECT vp::text FROM video_projects vp UNION ALL SELECT mi::text FROM media_items mi
       UNION ALL SELECT gv::text FROM generated_videos gv UNION ALL SELECT ur::text FROM usage_records ur) AS t (line)`,
  );

test('one seed is always the same data, and a second call changes nothing; another seed is other data', async () => {
  await using a = await seeded(30, 7);
  await using b = await seeded(30, 7);
  await using c = await seeded(30, 8);
  const first = await content(a.pool);
  expect(await content(b.pool)).toBe(first);
  expect(await content(c.pool)).not.toBe(first);
  expect(Object.values(await seedLegacy(b.client, { users: 30, seed: 7 })).every((count) => count === 0)).toBe(true);
  expect(await content(b.pool)).toBe(first);
});

/** By name: SQL that counts the rows of one kind of dirt. */
const dirt = {
  'two active subscriptions (erratum 4)': 'FROM lockstep_forward.subscription_conflicts',
  'no subscription': 'FROM users u WHERE NOT EXISTS (SELECT FROM subscriptions s WHERE s.user_id = u.id)',
  'unknown plan (erratum 7)': "FROM users WHERE subscription_plan = 'gold'",
  'no plan': 'FROM users WHERE subscription_plan IS NULL',
  'subscription without status': 'FROM subscriptions WHERE status IS NULL',
  'subscription without period': 'FROM subscriptions WHERE current_period_end IS NULL',
  'Stripe id too long': 'FROM subscriptions WHERE length(rtrim(stripe_subscription_id)) > 255',
  'Stripe id ends in spaces':
    'FROM subscriptions WHERE length(stripe_subscription_id) > 255 AND length(rtrim(stripe_subscription_id)) <= 255',
  'video not completed, with a file (erratum 11)':
    'FROM generated_videos WHERE completed_at IS NULL AND file_url IS NOT NULL',
  'photo without name (erratum 12)': 'FROM photos WHERE original_filename IS NULL',
  'photo without type (erratum 12)': 'FROM photos WHERE mime_type IS NULL',
  'photo without size (erratum 12)': 'FROM photos WHERE file_size_bytes IS NULL',
  'photo without URL': 'FROM photos WHERE file_url IS NULL',
  'name too long (erratum 12)': 'FROM photos WHERE length(rtrim(original_filename)) > 255',
  'type too long (erratum 12)': 'FROM photos WHERE length(mime_type) > 100',
  'item without name, type or size (erratum 12)': 'FROM media_items WHERE original_filename IS NULL',
  'item name too long (erratum 12)': 'FROM media_items WHERE length(original_filename) > 255',
  'tied order (erratum 13)':
    'FROM (SELECT FROM photos GROUP BY project_id, upload_order HAVING count(*) > 1 AND count(upload_order) > 1) t',
  'order NULL (erratum 13)': 'FROM photos WHERE upload_order IS NULL',
  'TOASTed metadata': 'FROM photos WHERE pg_column_size(metadata) > 8000',
  'orphan without parent (erratum 14)': "FROM lockstep_forward.orphans WHERE reason LIKE '%id is NULL'",
  'orphan of a missing parent (erratum 14)':
    "FROM lockstep_forward.orphans WHERE reason LIKE 'project % does not exist'",
  'orphan of an orphaned project (erratum 14)': "FROM lockstep_forward.orphans WHERE reason LIKE '% of project %'",
  'unknown status (erratum 28)': "FROM generated_videos WHERE status = 'archived'",
  'no status (erratum 28)': 'FROM generated_videos WHERE status IS NULL',
  'failed video (erratum 29)': "FROM generated_videos WHERE status = 'failed'",
  'service too long': 'FROM generated_videos WHERE length(rtrim(generation_service)) > 50',
};

test('twenty users have every kind of dirt', async () => {
  await using db = await seeded(20, 99);
  const absent = [];
  for (const [name, sql] of Object.entries(dirt))
    if ((await value(db.pool, `SELECT count(*)::int ${sql}`)) === 0) absent.push(name);
  expect(absent).toEqual([]);
});

test('a thousand users have believable numbers of everything', async () => {
  await using db = await seeded(1000, 3);
  const perUser = Object.fromEntries(Object.entries(db.written).map(([table, count]) => [table, count / 1000]));
  expect(perUser.subscriptions).toBeCloseTo(1.2, 0);
  expect(perUser.video_projects).toBeCloseTo(2.5, 0);
  expect(perUser.photos).toBeGreaterThan(17);
  expect(perUser.photos).toBeLessThan(23);
  expect(perUser.media_items).toBeCloseTo(5, 0);
  expect(perUser.generated_videos).toBeCloseTo(2.5, 0);
  expect(
    await value(db.pool, "SELECT count(*)::int FROM lockstep_forward.orphans WHERE source = 'photos'"),
  ).toBeLessThan(perUser.photos ? perUser.photos * 10 : 0);
});
