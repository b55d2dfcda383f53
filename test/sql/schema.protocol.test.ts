import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { migration } from '../../sql/migration.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { addPhoto, addUsers, derive, id, rows, sqlStateOf, value } from './world.ts';

const database = () => testDatabase({ template: photomemory });

test('a view has the types of its target, so that nothing is cast between them', async () => {
  await using db = await database();
  for (const { name } of migration.forward.targets) {
    const columns = await rows<{ column: string; view: string; table: string | null }>(
      db.pool,
      `SELECT v.attname AS column, v.atttypid::regtype::text AS view, t.atttypid::regtype::text AS table
       FROM pg_attribute v LEFT JOIN pg_attribute t ON t.attrelid = $2::regclass AND t.attname = v.attname
       WHERE v.attrelid = $1::regclass AND v.attnum > 0`,
      [`lockstep_forward.${name}`, name],
    );
    // A place beyond INTEGER must reach the column, and be refused there.
    const different = columns.filter((column) => column.view !== column.table && column.column !== 'display_order');
    expect(different, name).toEqual([]);
  }
});

test('a view never cuts a text: none of its columns has a length', async () => {
  await using db = await database();
  const cut = await rows(
    db.pool,
    `SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
     WHERE c.relnamespace = 'lockstep_forward'::regnamespace AND atttypid = 'varchar'::regtype AND atttypmod <> -1`,
  );
  expect(cut).toEqual([]);
});

test('errata 1, 3 and 15: the tables and indexes of the strategy exist, each index once', async () => {
  await using db = await database();
  const indexes = await rows<{ name: string; same: string }>(
    db.pool,
    `SELECT indexname AS name, regexp_replace(indexdef, '^CREATE (UNIQUE )?INDEX \\S+ ', '') AS same FROM pg_indexes
     WHERE schemaname = 'public' AND indexname LIKE 'idx\\_%'`,
  );
  const names = indexes.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      'idx_subscription_plans_active',
      'idx_subscription_plans_features_gin',
      'idx_user_subscriptions_active',
      'idx_user_subscriptions_stripe',
      'idx_user_subscriptions_period',
      'idx_media_files_user_id',
      'idx_media_files_type',
      'idx_media_files_hash',
      'idx_media_files_folder',
      'idx_media_files_tags_gin',
      'idx_project_media_project_order',
      'idx_project_media_file',
      'idx_generation_jobs_status_priority',
      'idx_generation_jobs_project',
      'idx_generation_jobs_user',
      'idx_generation_jobs_service',
      'idx_system_settings_public',
      'idx_audit_logs_user_2024_01',
      'idx_audit_logs_resource_2024_01',
      'idx_audit_logs_action_2024_01',
    ]),
  );
  expect(names).not.toContain('idx_user_subscriptions_period_end');
  expect(new Set(indexes.map(({ same }) => same)).size).toBe(indexes.length);
  expect(await value(db.pool, 'SELECT array_agg(id ORDER BY id) FROM subscription_plans')).toEqual([
    'enterprise',
    'free',
    'pro',
  ]);
});

test('every foreign key of a normalized table to another table of the migration has an index to find its rows by', async () => {
  await using db = await database();
  const unindexed = await rows(
    db.pool,
    `SELECT f.conrelid::regclass::text AS table, f.conname FROM pg_constraint f
     WHERE f.contype = 'f' AND f.confrelid IN ('users'::regclass, 'video_projects'::regclass, 'media_files'::regclass)
       AND f.conrelid::regclass::text IN ('user_subscriptions', 'media_files', 'project_media', 'generation_jobs')
       AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = f.conrelid AND i.indkey[0] = f.conkey[1]
         AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) LIKE '%IS NOT NULL%'))`,
  );
  expect(unindexed).toEqual([]);
});

/** User 1 with all there is in both schemas; user 2 has nothing. */
async function inhabited() {
  const db = await database();
  await addUsers(db.pool, 1, 2);
  await addPhoto(db.pool, 1, 1);
  await db.pool.query(`INSERT INTO media_items (id, user_id, file_url) VALUES ('${id('item', 1)}', '${id('user', 1)}', 'u');
    INSERT INTO generated_videos (id, project_id, status, generation_service, file_url) VALUES ('${id('video', 1)}', '${id('project', 1)}', 'completed', 'luma', 'u')`);
  for (const { name } of migration.forward.targets) await derive(db.pool, name);
  return db;
}

test('the application may delete a user whatever the new tables hold of him', async () => {
  await using db = await inhabited();
  // As it is while the new tables run behind: the project has moved on to user 2, and half of it is there already.
  await db.pool.query('UPDATE video_projects SET user_id = $1 WHERE id = $2', [id('user', 2), id('project', 1)]);
  await db.pool.query('UPDATE generation_jobs SET user_id = $1', [id('user', 2)]);
  await db.pool.query('DELETE FROM users WHERE id = $1', [id('user', 1)]);
  expect(await value(db.pool, 'SELECT count(*)::int FROM media_files')).toBe(0);
  expect(await rows(db.pool, 'SELECT output_file_id FROM generation_jobs')).toEqual([{ output_file_id: null }]);
  await db.pool.query('DELETE FROM users');
  expect(await value(db.pool, 'SELECT count(*)::int FROM generation_jobs')).toBe(0);
});

test('with the plain references of the strategy that delete fails', async () => {
  await using db = await inhabited();
  await db.pool.query(
    `ALTER TABLE generation_jobs DROP CONSTRAINT generation_jobs_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES users (id)`,
  );
  expect(await sqlStateOf(db.pool.query('DELETE FROM users WHERE id = $1', [id('user', 1)]))).toBe('23503');
});

test('the application may change the key of a user and of an empty project', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await derive(db.pool, 'user_subscriptions');
  await db.pool.query(
    `UPDATE video_projects SET id = '${id('project', 7)}', user_id = NULL; UPDATE users SET id = '${id('user', 7)}'`,
  );
  expect(await value(db.pool, 'SELECT user_id FROM user_subscriptions')).toBe(id('user', 7));
});

test('erratum 24: the monitoring queries run, twice over, with and without what they may lack', async () => {
  await using db = await inhabited();
  const monitoring = await readFile(new URL('../../sql/monitoring.sql', import.meta.url), 'utf8');
  await db.pool.query(monitoring);
  await db.pool.query(monitoring);
  expect(await rows(db.pool, 'SELECT users_count, difference FROM lockstep_monitoring.data_consistency')).toEqual([
    { users_count: '2', difference: '0' },
  ]);
  expect(await rows(db.pool, 'SELECT * FROM lockstep_monitoring.migration_progress()')).toEqual([]);
  expect(await rows(db.pool, 'SELECT * FROM lockstep_monitoring.query_performance()')).toEqual([]);
  expect(await value(db.pool, 'SELECT count(*)::int FROM lockstep_monitoring.table_activity')).toBe(4);
  const alerts = () => rows(db.pool, 'SELECT check_name, fires FROM lockstep_monitoring.alerts ORDER BY 1');
  expect(await alerts()).toEqual([
    { check_name: 'media_file_migration_complete', fires: false },
    { check_name: 'user_subscription_count_match', fires: false },
  ]);
  await db.pool.query(`CREATE SCHEMA migration_backup;
    CREATE TABLE migration_backup.migration_log (table_name VARCHAR(100), backup_row_count BIGINT, backup_created_at TIMESTAMPTZ DEFAULT now());
    INSERT INTO migration_backup.migration_log VALUES ('photos', 3); DELETE FROM media_files`);
  expect(
    await rows(
      db.pool,
      'SELECT table_name, backup_row_count, round(hours_since_backup) AS hours FROM lockstep_monitoring.migration_progress()',
    ),
  ).toEqual([{ table_name: 'photos', backup_row_count: '3', hours: '0' }]);
  expect((await alerts())[0]).toEqual({ check_name: 'media_file_migration_complete', fires: true });
});
