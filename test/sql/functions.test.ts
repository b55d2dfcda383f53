import type { Pool } from 'pg';
import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { addUsers, id, rows, sqlStateOf, value } from './world.ts';

const user = id('user', 1);
const gigabyte = 1024 ** 3;

async function subscriber(plan = 'free', columns: Record<string, unknown> = {}) {
  const db = await testDatabase({ template: photomemory });
  await addUsers(db.pool, 1);
  const row = {
    user_id: user,
    plan_id: plan,
    status: 'active',
    current_period_start: '2026-01-01T00:00:00Z',
    current_period_end: 'infinity',
    ...columns,
  };
  await db.pool.query(
    `INSERT INTO user_subscriptions (${Object.keys(row).join(', ')}) VALUES ($1, $2, $3, $4, $5)`,
    Object.values(row),
  );
  return db;
}

const may = (pool: Pool, limit: string, amount = 1, of = user) =>
  value<boolean | null>(pool, 'SELECT check_user_limit($1, $2, $3)', [of, limit, amount]);

async function store(pool: Pool, bytes: number) {
  await pool.query(
    `INSERT INTO media_files (user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes)
     VALUES ($1, 'f', gen_random_uuid()::text, 'u', 'image', 'image/png', $2)`,
    [user, bytes],
  );
}

test('the features are those of the active subscription, and end with its period', async () => {
  await using db = await subscriber('pro');
  const features = () =>
    rows(db.pool, 'SELECT plan_id, max_projects, is_active FROM get_user_subscription_features($1)', [user]);
  expect(await features()).toEqual([{ plan_id: 'pro', max_projects: 50, is_active: true }]);
  await db.pool.query("UPDATE user_subscriptions SET current_period_end = '2026-01-02'");
  expect(await features()).toEqual([{ plan_id: 'pro', max_projects: 50, is_active: false }]);
  await db.pool.query("UPDATE user_subscriptions SET status = 'cancelled'");
  expect(await features()).toEqual([]);
});

test('erratum 16: nothing is allowed without an active subscription, with an ended one, or of an unknown kind', async () => {
  await using db = await subscriber();
  expect(await may(db.pool, 'projects')).toBe(true);
  expect(await may(db.pool, 'projects', 1, id('user', 2))).toBe(false);
  expect(await may(db.pool, 'bandwidth')).toBe(false);
  await db.pool.query("UPDATE user_subscriptions SET current_period_end = '2026-01-02'");
  expect(await may(db.pool, 'projects')).toBe(false);
});

test('erratum 16: bytes are compared with bytes', async () => {
  await using db = await subscriber(); // 1 GB
  expect(await may(db.pool, 'storage_gb', 1)).toBe(true);
  await store(db.pool, 1);
  expect(await may(db.pool, 'storage_gb', 1)).toBe(false);
  await store(db.pool, 0.375 * gigabyte - 1);
  // The strategy's division makes this 0 GB used: one more would be allowed.
  expect(await may(db.pool, 'storage_gb', 1)).toBe(false);
  expect(await may(db.pool, 'storage_gb', 0)).toBe(true);
  await store(db.pool, 0.625 * gigabyte);
  expect(await may(db.pool, 'storage_gb', 0)).toBe(true);
  await store(db.pool, 1);
  // And here 1.0000001 GB used is no longer within 1 GB.
  expect(await may(db.pool, 'storage_gb', 0)).toBe(false);
});

test('erratum 16: a project without a status counts, a deleted one does not', async () => {
  await using db = await subscriber(); // 3 projects; one is there
  const add = (status: string | null) =>
    db.pool.query('INSERT INTO video_projects (user_id, status) VALUES ($1, $2)', [user, status]);
  await add(null);
  await add('deleted');
  expect(await may(db.pool, 'projects', 1)).toBe(true);
  expect(await may(db.pool, 'projects', 2)).toBe(false);
  await add(null);
  expect(await may(db.pool, 'projects', 1)).toBe(false);
});

test('erratum 16: -1 is unlimited; a limit that the plan does not state allows nothing', async () => {
  await using db = await subscriber('enterprise');
  expect(await may(db.pool, 'projects', 2_000_000_000)).toBe(true);
  expect(await may(db.pool, 'videos_per_month', 2_000_000_000)).toBe(true);
  await db.pool.query("UPDATE subscription_plans SET max_storage_gb = -1, max_projects = NULL WHERE id = 'enterprise'");
  expect(await may(db.pool, 'storage_gb', 2_000_000_000)).toBe(true);
  expect(await may(db.pool, 'projects')).toBe(false);
});

test('videos of this month count when they are completed', async () => {
  await using db = await subscriber(); // 5 videos
  const add = (status: string, completedAt: string) =>
    db.pool.query(
      `INSERT INTO generation_jobs (project_id, user_id, status, generation_service, completed_at) VALUES ($1, $2, $3, 'luma', ${completedAt})`,
      [id('project', 1), user, status],
    );
  for (let n = 0; n < 4; n++) await add('completed', 'now()');
  await add('failed', 'now()');
  await add('completed', "date_trunc('month', now()) - interval '1 second'");
  expect(await may(db.pool, 'videos_per_month', 1)).toBe(true);
  expect(await may(db.pool, 'videos_per_month', 2)).toBe(false);
});

test('a user can be deleted after anything that was noted about them, and the note stays', async () => {
  await using db = await subscriber();
  const event = await value<string>(db.pool, "SELECT log_audit_event($1, 'login', 'user', $1)", [user]);
  await db.pool.query(`INSERT INTO system_settings (key, value, updated_by) VALUES ('k', '1', $1)`, [user]);
  await db.pool.query('DELETE FROM users WHERE id = $1', [user]);
  const noted = `SELECT action, user_id, resource_id FROM audit_logs WHERE id = '${event}'`;
  expect(await rows(db.pool, noted)).toEqual([{ action: 'login', user_id: null, resource_id: user }]);
  expect(await rows(db.pool, `SELECT updated_by FROM system_settings WHERE key = 'k'`)).toEqual([{ updated_by: null }]);
});

test('erratum 2: an audit event has a partition in every month, and moves out of the default one', async () => {
  await using db = await subscriber();
  const audit = await value<string>(db.pool, "SELECT log_audit_event($1, 'login', 'user', $1, NULL, '{\"a\": 1}')", [
    user,
  ]);
  const partitionOf = (event: string) =>
    value(db.pool, 'SELECT tableoid::regclass::text FROM audit_logs WHERE id = $1', [event]);
  expect(await partitionOf(audit)).toBe(
    await value(db.pool, "SELECT 'audit_logs_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"),
  );
  const later = await value<string>(
    db.pool,
    "INSERT INTO audit_logs (action, resource_type, created_at) VALUES ('x', 'y', now() + interval '6 months') RETURNING id",
  );
  expect(await partitionOf(later)).toBe('audit_logs_default');
  expect(await value(db.pool, 'SELECT count(*)::int FROM ensure_audit_log_partitions(6)')).toBe(3);
  expect(await value(db.pool, 'SELECT count(*)::int FROM ensure_audit_log_partitions(6)')).toBe(0);
  const partition = await partitionOf(later);
  expect(partition).toBe(
    await value(db.pool, "SELECT 'audit_logs_' || to_char(now() AT TIME ZONE 'UTC' + interval '6 months', 'YYYY_MM')"),
  );
  const suffix = String(partition).replace('audit_logs_', '');
  const indexes = await rows<{ name: string }>(
    db.pool,
    'SELECT indexname AS name FROM pg_indexes WHERE tablename = $1 ORDER BY 1',
    [partition],
  );
  expect(indexes.map(({ name }) => name)).toEqual([
    `audit_logs_${suffix}_pkey`,
    ...['action', 'resource', 'user'].map((kind) => `idx_audit_logs_${kind}_${suffix}`),
  ]);
  expect(await sqlStateOf(db.pool.query('SELECT ensure_audit_log_partitions(-1)'))).toBe('22023');
});
