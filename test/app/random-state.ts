import type { Random } from '../../engine/random.ts';

/** Few rows, so that they meet. */
const id = (kind: string) => (number: number) => `${kind}0000000-0000-0000-0000-00000000000${number}`;
export const ids = {
  user: id('a'),
  project: id('b'),
  photo: id('c'),
  item: id('d'),
  video: id('e'),
  subscription: id('f'),
};
export const counts = { user: 4, project: 4, photo: 9, item: 5, video: 6, subscription: 7 };
export type Kind = keyof typeof ids;

export const some = (kind: Kind, random: Random): string => ids[kind](random.integer(counts[kind]));
export const every = (kind: Kind): string[] => Array.from({ length: counts[kind] }, (_, n) => ids[kind](n));

const sql = {
  text: (value: string) => `'${value}'`,
  or: (value: string, random: Random, otherwise = 'NULL') => (random.chance(0.15) ? otherwise : value),
  when: (r: Random) => `date_trunc('day', now()) + interval '1 hour' * ${-1 - r.integer(40)}`,
  name: (r: Random) =>
    r.pick([`'a.jpg'`, `'b.png'`, 'NULL', `repeat('n', 255) || '   '`, `repeat('n', 300)`, `''`, `'é.jpg'`]),
  url: (r: Random) => r.pick([`'https://c/x/y.jpg?w=1#f'`, `'https://c/x/'`, `'u'`, `'#'`, `'https://c/z.png'`]),
  mime: (r: Random) =>
    r.pick([`'image/jpeg'`, `'VIDEO/mp4'`, `'audio/mp3'`, 'NULL', `'x'`, `repeat('m', 101)`, `'image/png'`]),
  bytes: (r: Random) => r.pick(['0', '1', 'NULL', '1073741824', '600000000', '5368709120']),
  json: (r: Random) => r.pick([`'{}'`, `'{"k": [1, 2.5, null]}'`, 'NULL', `'[1]'`]),
};
const { or, when, name, url, mime, bytes, json } = sql;
const key = (kind: Kind, r: Random) => sql.text(some(kind, r));

/** One row of each kind, dirty as in errata 4 to 14 and 28; orphans too, since no foreign key is asked (see `fill`). */
const rows: readonly ((r: Random) => string)[] = [
  (r) => `INSERT INTO users (id, email, subscription_plan, created_at, updated_at)
    VALUES (${key('user', r)}, 'e', ${r.pick([`'free'`, `'pro'`, `'enterprise'`, `'pro'`, `'gold'`, 'NULL'])}, ${when(r)} - interval '${r.integer(45)} days', ${when(r)})`,
  (
    r,
  ) => `INSERT INTO subscriptions (id, user_id, status, current_period_start, current_period_end, stripe_subscription_id, created_at)
    VALUES (${key('subscription', r)}, ${or(key('user', r), r)}, ${r.pick([`'active'`, `'active'`, `'cancelled'`, 'NULL', `'past_due'`])},
      ${or(when(r), r)}, ${or(when(r), r, r.pick(['NULL', `'infinity'`]))}, ${r.pick(['NULL', `'s1'`, `'s2'`, `repeat('s', 255) || ' '`])}, ${when(r)})`,
  (r) =>
    `INSERT INTO video_projects (id, user_id, title, status) VALUES (${key('project', r)}, ${or(key('user', r), r)}, 't', ${r.pick([`'draft'`, 'NULL', `'deleted'`])})`,
  ...[1, 2, 3].map(
    () => (r: Random) =>
      `INSERT INTO photos (id, project_id, original_filename, file_url, thumbnail_url, mime_type, file_size_bytes, width, metadata, upload_order, created_at, updated_at)
    VALUES (${key('photo', r)}, ${or(key('project', r), r)}, ${name(r)}, ${url(r)}, ${or(url(r), r)}, ${mime(r)}, ${bytes(r)}, ${or('7', r)}, ${json(r)}, ${or(String(r.integer(4)), r)}, ${when(r)}, ${when(r)})`,
  ),
  (
    r,
  ) => `INSERT INTO media_items (id, user_id, original_filename, file_url, mime_type, file_size_bytes, metadata, created_at)
    VALUES (${key('item', r)}, ${or(key('user', r), r)}, ${name(r)}, ${url(r)}, ${mime(r)}, ${bytes(r)}, ${json(r)}, ${when(r)})`,
  (
    r,
  ) => `INSERT INTO generated_videos (id, project_id, status, progress_percentage, generation_service, external_generation_id, duration_seconds, file_url, file_size_bytes, ai_prompt, created_at, started_at, completed_at, updated_at)
    VALUES (${key('video', r)}, ${or(key('project', r), r)}, ${r.pick([`'queued'`, `'completed'`, `'completed'`, `'failed'`, `'archived'`, 'NULL'])}, ${or('3', r)},
      ${r.pick([`'runway'`, `'runway'`, 'NULL', `repeat('g', 50) || '  '`, `repeat('g', 51)`])}, ${or(`'x'`, r)}, ${or('9', r)}, ${or(url(r), r)}, ${bytes(r)}, ${or(`'p'`, r)},
      ${when(r)}, ${or(when(r), r)}, ${or(`date_trunc('month', now()) + interval '1 second' * ${r.integer(3) - 1}`, r)}, ${when(r)})`,
];

const tables = [
  'users',
  'subscriptions',
  'video_projects',
  'photos',
  'media_items',
  'generated_videos',
  'project_media',
  'generation_jobs',
  'media_files',
  'user_subscriptions',
  'lockstep.quarantine',
];
// Few rows: faster than TRUNCATE.
const emptySql = tables.map((table) => `DELETE FROM ${table}`).join('; ');

/** Mends all that the new schema would refuse, and little else. */
const mendSql = `
  UPDATE users SET subscription_plan = 'free' WHERE subscription_plan IS NULL OR subscription_plan = 'gold';
  UPDATE subscriptions SET stripe_subscription_id = id::text WHERE stripe_subscription_id IS NOT NULL;
  UPDATE photos SET original_filename = rtrim(left(original_filename, 255)), mime_type = left(mime_type, 100);
  UPDATE photos SET original_filename = 'n' WHERE original_filename IS NULL AND file_url IN ('#', 'https://c/x/');
  UPDATE media_items SET original_filename = left(original_filename, 255), mime_type = left(mime_type, 100);
  UPDATE media_items SET original_filename = 'n' WHERE original_filename IS NULL AND file_url IN ('#', 'https://c/x/');
  UPDATE generated_videos SET generation_service = left(coalesce(generation_service, 'g'), 50),
    status = coalesce(nullif(status, 'archived'), 'queued')`;

/**
 * A legacy state in one text of SQL: everything else is empty.
 *
 * @param kind a clean one has nothing that the new schema refuses.
 */
export function randomState(random: Random, kind: 'dirty' | 'clean' = 'dirty'): string {
  const inserts = Array.from(
    { length: 25 + random.integer(50) },
    () => `${random.pick(rows)(random)} ON CONFLICT (id) DO NOTHING`,
  );
  const people = every('user').map((user, n) =>
    random.chance(0.8)
      ? `INSERT INTO users (id, subscription_plan, created_at) VALUES ('${user}', '${random.pick(['free', 'pro', 'enterprise'])}', now() - interval '${20 + n * 5} days') ON CONFLICT DO NOTHING;
         INSERT INTO video_projects (id, user_id) VALUES ('${ids.project(n)}', '${user}') ON CONFLICT DO NOTHING`
      : 'SELECT',
  );
  const populated = kind === 'clean' || random.chance(0.8) ? people : [];
  const mending = kind === 'clean' ? [mendSql] : [];
  return ['SET LOCAL session_replication_role = replica', emptySql, ...populated, ...inserts, ...mending].join(';\n');
}
