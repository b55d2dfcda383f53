import type { Random } from '../../engine/random.ts';
import { migration } from '../../sql/migration.ts';
import { oracleDifferences } from '../oracle/oracle.ts';
import { photomemory } from '../support/photomemory.ts';
import type { World } from './converge.ts';

/** Few rows, so that transactions meet. */
const id = (kind: string, count: number) => (random: Random) =>
  `'${kind}0000000-0000-0000-0000-00000000000${random.integer(count)}'`;
const user = id('a', 5);
const project = id('b', 4);
const photo = id('c', 9);
const item = id('d', 5);
const video = id('e', 5);
const subscription = id('f', 6);
const orNull = (value: string, random: Random) => (random.chance(0.1) ? 'NULL' : value);
const when = (random: Random) => `timestamptz '2026-01-01 00:00:00Z' + interval '1 hour' * ${random.integer(5)}`;
const name = (random: Random) => random.pick([`'a.jpg'`, `'b.jpg'`, 'NULL', `repeat('n', 300)`]);

const statements: readonly ((random: Random) => string)[] = [
  (
    r,
  ) => `INSERT INTO users (id, email, display_name, subscription_plan, created_at, updated_at) VALUES (${user(r)}, 'e', 'd', ${r.pick([`'free'`, `'pro'`, `'pro'`, `'gold'`])}, ${when(r)}, ${when(r)})
          ON CONFLICT (id) DO UPDATE SET subscription_plan = excluded.subscription_plan, updated_at = excluded.updated_at`,
  (r) => `UPDATE users SET display_name = 'unrelated ${r.integer(9)}' WHERE id = ${user(r)}`,
  (r) => (r.chance(0.3) ? `DELETE FROM users WHERE id = ${user(r)}` : 'SELECT 1'),
  (
    r,
  ) => `INSERT INTO subscriptions (id, user_id, status, current_period_start, current_period_end, stripe_subscription_id, created_at, updated_at)
          VALUES (${subscription(r)}, ${user(r)}, ${r.pick([`'active'`, `'cancelled'`])}, ${when(r)}, ${when(r)}, ${r.pick([`'s1'`, `'s2'`, 'NULL', 'NULL'])}, ${when(r)}, ${when(r)})
          ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, status = excluded.status, current_period_end = excluded.current_period_end, stripe_subscription_id = excluded.stripe_subscription_id`,
  (r) =>
    `UPDATE subscriptions SET status = CASE status WHEN 'active' THEN 'cancelled' ELSE 'active' END::subscription_status WHERE user_id = ${user(r)}`,
  (r) => `DELETE FROM subscriptions WHERE id = ${subscription(r)}`,
  (
    r,
  ) => `INSERT INTO video_projects (id, user_id, title, status) VALUES (${project(r)}, ${orNull(user(r), r)}, 't', 'draft')
          ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id`,
  (r) => (r.chance(0.3) ? `DELETE FROM video_projects WHERE id = ${project(r)}` : 'SELECT 1'),
  (
    r,
  ) => `INSERT INTO photos (id, project_id, original_filename, file_url, mime_type, metadata, upload_order, created_at, updated_at)
          VALUES (${photo(r)}, ${orNull(project(r), r)}, ${name(r)}, 'https://cdn/x.jpg', 'image/jpeg', jsonb_build_object('k', ${r.integer(3)}), ${orNull(String(r.integer(4)), r)}, ${when(r)}, ${when(r)})
          ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, original_filename = excluded.original_filename, upload_order = excluded.upload_order`,
  (r) => `UPDATE photos SET project_id = ${orNull(project(r), r)} WHERE id = ${photo(r)}`,
  (r) => `UPDATE photos SET upload_order = upload_order + ${r.pick([-1, 1])} WHERE project_id = ${project(r)}`,
  (r) =>
    `UPDATE photos SET original_filename = 'mended.jpg' WHERE length(original_filename) > 255 AND id = ${photo(r)}`,
  (r) => `DELETE FROM photos WHERE id = ${photo(r)}`,
  (r) =>
    `UPDATE photos SET id = ${photo(r)} WHERE id = ${photo(r)} AND NOT EXISTS (SELECT FROM photos p WHERE p.id = ${photo(r)})`,
  (
    r,
  ) => `INSERT INTO media_items (id, user_id, original_filename, file_url, mime_type) VALUES (${item(r)}, ${orNull(user(r), r)}, ${name(r)}, 'https://cdn/m', ${r.pick([`'audio/mp3'`, 'NULL'])})
          ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, original_filename = excluded.original_filename`,
  (r) => `DELETE FROM media_items WHERE id = ${item(r)}`,
  (r) => `INSERT INTO generated_videos (id, project_id, status, generation_service, file_url, created_at, updated_at)
          VALUES (${video(r)}, ${orNull(project(r), r)}, ${r.pick([`'queued'`, `'completed'`, `'failed'`, `'archived'`])}, 'runway', ${orNull(`'https://cdn/v'`, r)}, ${when(r)}, ${when(r)})
          ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, status = excluded.status, file_url = excluded.file_url, updated_at = excluded.updated_at`,
  (r) => `DELETE FROM generated_videos WHERE id = ${video(r)}`,
  (r) =>
    r.chance(0.05) ? `TRUNCATE ${r.pick(['subscriptions', 'media_items', 'generated_videos', 'photos'])}` : 'SELECT 1',
];

export const photomemoryWorld: World = {
  template: photomemory,
  migration,
  // Half of them concern photos: the target that a row can move about in is theirs.
  statement: (random) =>
    random.pick(random.chance(0.5) ? statements.filter((one) => /photos/.test(String(one))) : statements)(random),
  async oracle(pool) {
    const client = await pool.connect();
    try {
      return await oracleDifferences(client);
    } finally {
      client.release();
    }
  },
};
