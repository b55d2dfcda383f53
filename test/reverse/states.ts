import type { Random } from '../../engine/random.ts';

/*
 * Random states of both schemas. Few ids, which tables share, so that what could be confused meets: placements with the id of a
 * file, jobs with that of a file of another, subscriptions with their user's.
 */
const key = (kind: string, n: number) => `'${kind}0000000-0000-0000-0000-00000000000${n}'`;
const users = 3;
const user = (r: Random) => key('a', r.integer(users));
const projectCount = 4;
/** The last one has no owner. */
const project = (r: Random) => key('b', r.integer(projectCount));
const file = (r: Random) => key('c', r.integer(5));
const place = (r: Random) => (r.chance(0.5) ? file(r) : key('d', r.integer(4)));
const job = (r: Random) => (r.chance(0.5) ? file(r) : key('e', r.integer(3)));
const subscription = (r: Random) => key('f', r.integer(4));
const orNull = (value: string, r: Random) => (r.chance(0.25) ? 'NULL' : value);
const when = (r: Random) => `'2026-01-31 0${r.integer(4)}:00:00Z'::timestamptz`;
const plan = (r: Random) => r.pick([`'free'`, `'pro'`]);
const text = (r: Random, ...values: string[]) => r.pick(values);
const name = (r: Random) => text(r, `'a.jpg'`, `'b.jpg'`, `rpad('a.jpg', 300)`);
const url = (r: Random) => text(r, `'https://cdn/a.jpg'`, `'https://cdn/b.jpg?x=1'`);
const mime = (r: Random) => text(r, `'image/png'`, `'application/octet-stream'`, `'audio/mp3'`, `'video/mp4'`);
const note = (r: Random) => text(r, `'{}'`, 'NULL', `'{"k": 1}'`, `'[1.50]'`);
/** Notes of a job that waits for its file. */
const prompts = [
  `'{"file_url": null, "thumbnail_url": null, "file_size_bytes": null, "duration_seconds": null, "ai_prompt": "the sea"}'`,
  `'{"ai_prompt": null}'`,
  `'["ai_prompt"]'`,
];
const status = (r: Random) => text(r, `'queued'`, `'processing'`, `'completed'`, `'failed'`);

/** Users and projects: both schemas have them. */
export const shared = [
  ...Array.from(
    { length: users },
    (_, n) =>
      `INSERT INTO users (id, created_at, updated_at) VALUES (${key('a', n)}, '2026-01-31 0${n}:00:00Z', '2026-01-31 02:00:00Z')`,
  ),
  ...Array.from(
    { length: projectCount },
    (_, n) =>
      `INSERT INTO video_projects (id, user_id) VALUES (${key('b', n)}, ${n === projectCount - 1 ? 'NULL' : key('a', n % users)})`,
  ),
].join('; ');

/** Legacy rows that the new schema takes: NULLs, ties, several active subscriptions; and orphans. */
export function legacyRows(r: Random): string {
  const rows: string[] = [];
  for (let n = 0; n < users; n++)
    rows.push(`UPDATE users SET subscription_plan = ${plan(r)} WHERE id = ${key('a', n)}`);
  for (let n = r.integer(6); n > 0; n--) {
    const owner = r.chance(0.1) ? text(r, 'NULL', key('9', 9)) : user(r);
    rows.push(`INSERT INTO subscriptions VALUES (${owner.startsWith("'a") && r.chance(0.2) ? owner : subscription(r)}, ${owner},
      ${orNull(text(r, `'active'`, `'active'`, `'cancelled'`, `'expired'`), r)}, ${orNull(when(r), r)}, ${orNull(when(r), r)},
      ${orNull(`gen_random_uuid()`, r)}, ${orNull(`rpad('cus', 300)`, r)}, ${when(r)}, ${when(r)}) ON CONFLICT DO NOTHING`);
  }
  for (let n = r.integer(8); n > 0; n--) {
    rows.push(`INSERT INTO photos VALUES (${file(r)}, ${r.chance(0.1) ? text(r, 'NULL', key('9', 9)) : project(r)}, ${orNull(name(r), r)}, ${url(r)}, ${orNull(`'t'`, r)},
      ${orNull(mime(r), r)}, ${orNull('1000', r)}, ${orNull('1', r)}, 2, ${note(r)}, ${orNull(String(r.integer(3)), r)}, ${when(r)}, ${when(r)}) ON CONFLICT DO NOTHING`);
  }
  for (let n = r.integer(4); n > 0; n--) {
    rows.push(`INSERT INTO media_items SELECT ${key('8', n)}, ${r.chance(0.1) ? text(r, 'NULL', key('9', 9)) : user(r)}, ${orNull(name(r), r)}, ${url(r)}, ${orNull(`'t'`, r)},
      ${orNull(mime(r), r)}, ${orNull('1000', r)}, 1, 2, ${note(r)}, ${when(r)}, ${when(r)}`);
  }
  for (let n = r.integer(4); n > 0; n--) {
    rows.push(`INSERT INTO generated_videos VALUES (${key('e', r.integer(3))}, ${r.chance(0.1) ? 'NULL' : project(r)}, ${status(r)}, ${orNull('5', r)}, 'luma', ${orNull(`rpad('x', 300)`, r)},
      ${orNull('7', r)}, ${orNull(url(r), r)}, ${orNull(`'t'`, r)}, ${orNull(text(r, '0', '1000'), r)}, ${orNull(`'prompt'`, r)}, ${orNull(`'error'`, r)},
      ${when(r)}, ${orNull(when(r), r)}, ${orNull(when(r), r)}, ${when(r)}) ON CONFLICT DO NOTHING`);
  }
  return rows.join('; ');
}

const mutations: readonly ((r: Random) => string)[] = [
  (
    r,
  ) => `INSERT INTO user_subscriptions (id, user_id, plan_id, status, current_period_start, current_period_end, stripe_customer_id, created_at, updated_at)
    SELECT CASE WHEN ${r.chance(0.3)} THEN id ELSE ${subscription(r)} END, id, ${plan(r)}, ${text(r, `'active'`, `'cancelled'`)}, ${orNull(when(r), r) === 'NULL' ? 'created_at' : when(r)},
      ${r.chance(0.5) ? 'lockstep_forward.month_after(created_at)' : when(r)}, ${orNull(`'cus'`, r)}, ${r.chance(0.5) ? 'created_at' : when(r)}, ${r.chance(0.5) ? 'updated_at' : when(r)} FROM users WHERE id = ${user(r)}`,
  (r) =>
    `UPDATE user_subscriptions SET ${text(
      r,
      `plan_id = ${plan(r)}`,
      `plan_id = 'a plan with quite a long name'`,
      `status = 'cancelled'`,
      `status = 'active'`,
      `stripe_subscription_id = 'sub'`,
      `current_period_end = ${when(r)}`,
      'cancel_at_period_end = true',
      `cancelled_at = ${when(r)}`,
      `updated_at = ${when(r)}`,
      `user_id = ${user(r)}`,
    )} WHERE user_id = ${user(r)} AND user_id <> id`,
  (r) => `UPDATE user_subscriptions SET plan_id = ${plan(r)} WHERE user_id = ${user(r)}`,
  (r) =>
    `DELETE FROM user_subscriptions WHERE user_id = ${user(r)} AND ${text(r, 'true', `status = 'active'`, `id = ${subscription(r)}`)}`,
  (
    r,
  ) => `INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type, file_size_bytes, width, metadata, folder_path, uploaded_at, created_at, updated_at)
    SELECT id, ${user(r)}, ${name(r)}, ${text(r, `'legacy/photos/'`, `'legacy/media/'`, `'generated/videos/'`, `'uploads/'`)} || id, ${url(r)}, ${orNull(`'t'`, r)}, ${text(r, `'image'`, `'image'`, `'video'`, `'file'`)}, ${mime(r)}, ${text(r, '0', '1000')},
      ${orNull('1', r)}, ${note(r)}, ${text(r, `'/library'`, `'/'`, `'/projects/' || ${project(r)}`)}, ${when(r)}, ${when(r)}, ${when(r)} FROM (SELECT ${file(r)}::uuid AS id) f`,
  (r) =>
    `UPDATE media_files SET ${text(
      r,
      `user_id = ${user(r)}`,
      `file_url = ${url(r)}`,
      `original_filename = ${name(r)}`,
      `mime_type = ${mime(r)}`,
      'file_size_bytes = 0',
      'file_size_bytes = 2000',
      `metadata = ${note(r)}`,
      `file_type = ${text(r, `'image'`, `'video'`)}`,
      `folder_path = ${text(r, `'/library'`, `'/'`)}`,
      'width = 9',
      'thumbnail_url = NULL',
      `tags = '{x}'`,
      `content_hash = 'h'`,
      `processing_error = 'e'`,
      `processing_status = 'failed'`,
      `last_accessed_at = ${when(r)}`,
      `updated_at = ${when(r)}`,
      `created_at = ${when(r)}`,
      `uploaded_at = ${when(r)}`,
      'duration_seconds = 3',
    )} WHERE id = (SELECT id FROM media_files ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)`,
  (r) => `DELETE FROM media_files WHERE id = ${file(r)}`,
  (r) =>
    `INSERT INTO project_media (id, project_id, media_file_id, display_order, duration_seconds, transition_type, added_at) SELECT ${place(r)}, ${project(r)}, id, ${r.integer(4)}, 3.0, 'fade', ${r.chance(0.5) ? 'created_at' : when(r)} FROM media_files ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1`,
  (r) =>
    `INSERT INTO project_media (id, project_id, media_file_id, display_order, duration_seconds, added_at) SELECT id, ${project(r)}, id, ${r.integer(4)}, 3.0, created_at FROM media_files ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1`,
  (
    r,
  ) => `UPDATE project_media SET ${text(r, `display_order = ${r.integer(5)}`, `project_id = ${project(r)}`, `id = ${place(r)}`, `media_file_id = ${file(r)}`, 'duration_seconds = 5', `transition_type = 'cut'`, `settings = '{"a": 1}'`, `added_at = ${when(r)}`)}
    WHERE id = (SELECT id FROM project_media ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)`,
  (r) => `UPDATE project_media SET display_order = display_order + 1 WHERE project_id = ${project(r)}`,
  (r) =>
    `DELETE FROM project_media WHERE id = (SELECT id FROM project_media ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)`,
  (
    r,
  ) => `INSERT INTO generation_jobs (id, project_id, user_id, job_type, status, generation_service, actual_duration_seconds, output_file_id, output_metadata, queued_at, completed_at, failed_at)
    VALUES (${job(r)}, ${project(r)}, ${user(r)}, ${text(r, `'video'`, `'video'`, `'video'`, `'thumbnail'`)}, ${status(r)}, 'luma', ${orNull('7', r)}, ${orNull(file(r), r)}, ${text(r, `'{}'`, `'{"file_url": null, "thumbnail_url": null, "file_size_bytes": null, "duration_seconds": 7}'`, `'{"file_size_bytes": "many"}'`, `'{"file_size_bytes": 1.5}'`, `'[]'`, ...prompts)},
      ${when(r)}, ${orNull(when(r), r)}, ${orNull(when(r), r)})`,
  (r) =>
    `UPDATE generation_jobs SET ${text(
      r,
      `status = ${status(r)}`,
      'progress_percentage = 50',
      `output_file_id = ${orNull(file(r), r)}`,
      `output_file_id = id`,
      'priority = 1',
      'retry_count = 1',
      'max_retries = 1',
      'compute_cost_cents = 1',
      'estimated_duration_seconds = 1',
      `failed_at = ${when(r)}`,
      `completed_at = ${when(r)}`,
      `job_type = 'thumbnail'`,
      `error_message = 'e'`,
      `generation_service = 'pika'`,
      `user_id = ${user(r)}`,
      `output_metadata = '{}'`,
      `output_metadata = ${text(r, ...prompts)}`,
      'actual_duration_seconds = NULL',
    )} WHERE id = (SELECT id FROM generation_jobs ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)`,
  (r) =>
    `DELETE FROM generation_jobs WHERE id = (SELECT id FROM generation_jobs ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)`,
  (r) =>
    `UPDATE users SET ${text(r, `updated_at = ${when(r)}`, `created_at = ${when(r)}`, `display_name = 'x'`)} WHERE id = ${user(r)}`,
];

/** One random statement of an application that uses the new schema. */
export function mutation(r: Random): string {
  return r.pick(mutations)(r);
}

/** Each statement by itself; one that the schema refuses changes nothing. */
export function leniently(statements: readonly string[]): string {
  return statements
    .map(
      (statement) =>
        `DO $do$ BEGIN ${statement}; SET CONSTRAINTS ALL IMMEDIATE; EXCEPTION WHEN integrity_constraint_violation THEN NULL; END $do$`,
    )
    .join('; ');
}
