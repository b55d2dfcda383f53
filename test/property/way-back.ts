import type pg from 'pg';
import { arm } from '../../engine/phases/arm.ts';
import { changePhase } from '../../engine/phases/change.ts';
import type { Random } from '../../engine/random.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../../sql/migration.ts';
import { legacyRows, mutation, shared } from '../reverse/states.ts';
import { prepareWays } from '../reverse/ways.ts';
import type { TestDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import type { World } from './converge.ts';

const key = (kind: string, count: number) => (r: Random) =>
  `'${kind}0000000-0000-0000-0000-00000000000${r.integer(count)}'::uuid`;
const user = key('a', 3);
/** The fourth has no owner, and gets none: docs/decisions.md says what becomes of its photos. */
const project = key('b', 3);
const file = key('c', 7);
const place = (r: Random) => (r.chance(0.4) ? file(r) : key('d', 6)(r));
const job = (r: Random) => (r.chance(0.4) ? file(r) : key('e', 4)(r));
const subscription = (r: Random) => (r.chance(0.3) ? user(r) : key('f', 5)(r));
const seldom = (r: Random, statement: string) => (r.chance(0.06) ? statement : 'SELECT 1');
/** One of the rows that are there, whichever. */
const oneOf = (r: Random, table: string) =>
  `(SELECT id FROM ${table} ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)`;

/** Most of them write rows rather than be refused, so that there is something to go wrong. */
const writes: readonly ((r: Random) => string)[] = [
  (
    r,
  ) => `INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes, folder_path)
    SELECT id, ${oneOf(r, 'users')}, 'a.jpg', 'uploads/' || id, 'https://cdn/a', ${r.pick([`'image'`, `'image'`, `'image'`, `'video'`])}, 'image/png', ${r.integer(9)}, ${r.pick([`'/'`, `'/library'`])} FROM (SELECT ${file(r)} AS id) f
    ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, file_type = excluded.file_type, file_size_bytes = excluded.file_size_bytes, folder_path = excluded.folder_path`,
  (r) => `INSERT INTO project_media (id, project_id, media_file_id, display_order)
    SELECT ${place(r)}, p.id, ${oneOf(r, 'media_files')}, (SELECT coalesce(max(display_order), 0) + 1 FROM project_media WHERE project_id = p.id) FROM (SELECT ${oneOf(r, 'video_projects')} AS id) p
    ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, media_file_id = excluded.media_file_id, display_order = excluded.display_order`,
  // The placement of a photo, as the forward direction makes it.
  (r) => `INSERT INTO project_media (id, project_id, media_file_id, display_order)
    SELECT f.id, p.id, f.id, (SELECT coalesce(max(display_order), 0) + 1 FROM project_media WHERE project_id = p.id) FROM (SELECT ${oneOf(r, 'video_projects')} AS id) p, (SELECT ${oneOf(r, 'media_files')} AS id) f
    ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, media_file_id = excluded.media_file_id, display_order = excluded.display_order`,
  (
    r,
  ) => `INSERT INTO generation_jobs (id, project_id, user_id, job_type, status, generation_service, output_file_id, output_metadata)
    SELECT ${job(r)}, ${oneOf(r, 'video_projects')}, ${oneOf(r, 'users')}, ${r.pick([`'video'`, `'video'`, `'thumbnail'`])}, 'completed', 'luma', ${r.pick([oneOf(r, 'media_files'), 'NULL'])}, '{}'
    ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, job_type = excluded.job_type, output_file_id = excluded.output_file_id`,
  (r) => `INSERT INTO user_subscriptions (id, user_id, plan_id, status, current_period_start, current_period_end)
    VALUES (${subscription(r)}, ${oneOf(r, 'users')}, ${r.pick([`'free'`, `'pro'`, `'pro'`, `'a plan with quite a long name'`])}, ${r.pick([`'active'`, `'cancelled'`])}, '2026-01-01', '2026-02-0${1 + r.integer(5)}')
    ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, plan_id = excluded.plan_id, status = excluded.status`,
  (r) => `DELETE FROM media_files WHERE id = ${file(r)}`,
  (r) => `DELETE FROM project_media WHERE id = ${place(r)}`,
  // What both schemas share, with cascades to either side.
  (r) =>
    `INSERT INTO users (id, created_at, updated_at) VALUES (${user(r)}, '2026-01-31', '2026-01-31') ON CONFLICT DO NOTHING`,
  (r) => seldom(r, `DELETE FROM users WHERE id = ${user(r)}`),
  (r) => `INSERT INTO video_projects (id, user_id) VALUES (${project(r)}, ${oneOf(r, 'users')})
    ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id`,
  (r) => seldom(r, `DELETE FROM video_projects WHERE id = ${project(r)}`),
  // Everything of a project goes to another one, behind what is there; or turns round.
  (r) => `UPDATE project_media SET project_id = ${oneOf(r, 'video_projects')}, display_order = display_order + 100
    WHERE project_id = ${project(r)}`,
  (r) => {
    const turned = project(r);
    return `UPDATE project_media SET display_order = n.last - display_order
      FROM (SELECT max(display_order) + 1 AS last FROM project_media WHERE project_id = ${turned}) n WHERE project_id = ${turned}`;
  },
  // Another subscription becomes the active one.
  (r) => {
    const owner = user(r);
    return `UPDATE user_subscriptions SET status = CASE WHEN id = (
      SELECT id FROM user_subscriptions WHERE user_id = ${owner} ORDER BY md5(id::text || ${r.integer(99)}) LIMIT 1)
      THEN 'active' ELSE 'cancelled' END::subscription_status WHERE user_id = ${owner}`;
  },
  (r) => seldom(r, `UPDATE media_files SET user_id = ${oneOf(r, 'users')} WHERE user_id = ${user(r)}`),
  (r) => seldom(r, `TRUNCATE ${r.pick(['user_subscriptions', 'project_media', 'generation_jobs'])}`),
];

/** Legacy with its orphans, ties and NULLs, carried over; then the direction is turned, as a cutover does it. */
async function prepare({ pool, client: connect }: TestDatabase, random: Random): Promise<void> {
  const client = await connect();
  await client.query(
    `INSERT INTO subscription_plans (id, name, price_cents, billing_interval) VALUES ('a plan with quite a long name', 'Long', 1, 'month')`,
  );
  const ways = await prepareWays(client);
  await client.query(`BEGIN; SET LOCAL session_replication_role = replica; ${shared}; ${legacyRows(random)};
    SET LOCAL session_replication_role = origin; ${ways.forward};
    UPDATE users u SET total_storage_bytes = r.total_storage_bytes FROM lockstep_reverse.users r WHERE r.id = u.id; COMMIT`);
  await arm({ client, migration, telemetry: silent });
  await client.query('BEGIN');
  await changePhase(client, 'cutover');
  await client.query("SELECT lockstep.set_triggers('reverse', true); COMMIT");
  await client.end();
  await pool.query('ANALYZE');
}

/**
 * What must be true of legacy whatever the views say: no file is lost, sums are sums, pictures are in their order; and
 * what is in quarantine is there because legacy has no room for a plan's name.
 */
const proof = `
  SELECT 'a file that legacy does not have' AS what, to_jsonb(mf.id) AS which FROM media_files mf
  WHERE NOT EXISTS (SELECT FROM photos p WHERE p.id = mf.id) AND NOT EXISTS (SELECT FROM media_items mi WHERE mi.id = mf.id)
    AND NOT EXISTS (SELECT FROM generation_jobs gj WHERE gj.id = mf.id AND gj.job_type = 'video' AND gj.output_file_id IS NOT NULL)
  UNION ALL
  SELECT 'a file that legacy has twice', to_jsonb(p.id) FROM photos p JOIN media_items mi USING (id)
  UNION ALL
  SELECT 'a wrong sum', to_jsonb(u) FROM users u
  WHERE coalesce(u.total_storage_bytes, 0) <> (SELECT coalesce(sum(file_size_bytes), 0) FROM media_files WHERE user_id = u.id)
    AND NOT EXISTS (SELECT FROM lockstep.quarantine q WHERE q.target = 'users' AND q.scope = ARRAY[u.id::text])
  UNION ALL
  SELECT 'pictures in another order', to_jsonb(project_id) FROM (
    SELECT p.project_id,
           array_agg(p.id ORDER BY p.upload_order NULLS LAST, p.created_at, p.id) AS is,
           array_agg(p.id ORDER BY pm.display_order) AS ought
    FROM photos p JOIN project_media pm ON pm.project_id = p.project_id AND (pm.id = p.id OR pm.media_file_id = p.id
      AND NOT EXISTS (SELECT FROM project_media own WHERE own.id = p.id AND own.project_id = p.project_id))
    GROUP BY p.project_id) o WHERE o.is <> o.ought
  UNION ALL
  SELECT 'in quarantine without a reason', to_jsonb(q) FROM lockstep.quarantine q
  WHERE q.target <> 'users' OR NOT EXISTS (
    SELECT FROM user_subscriptions us WHERE ARRAY[us.user_id::text] = q.scope AND length(us.plan_id) > 20)`;

export const wayBackWorld: World = {
  template: photomemory,
  migration,
  direction: 'reverse',
  prepare,
  statement: (random) => (random.chance(0.3) ? mutation(random) : random.pick(writes)(random)),
  oracle: async (pool: pg.Pool) => (await pool.query(proof)).rows,
};
