import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { runBackfill } from '../../engine/backfill/run.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../../sql/migration.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { rows } from '../sql/world.ts';
import { testDatabase } from '../support/database.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';
import { oracleDifferences } from './oracle.ts';

async function synced(users: number) {
  const db = await testDatabase({ template: photomemory });
  const client = await db.client();
  await seedLegacy(client, { users, seed: 5 });
  const { pool } = db;
  const loaded = await loadPhotomemory(pool);
  const targets = migration.forward.targets.map(({ name }) => name);
  const backfill = async () => {
    const runId = randomUUID();
    await enterBackfill(pool, loaded, { id: runId, direction: 'forward', reason: 'first start', targets });
    return await runBackfill({ pool, loaded, runId, deadlineMs: Date.now() + 60_000, telemetry: silent });
  };
  expect(await backfill()).toBe('finished');
  return { ...db, client, backfill };
}

const failing = async (pool: Parameters<typeof rows>[0]) =>
  (
    await rows<{ name: string }>(
      pool,
      `SELECT check_name AS name FROM (SELECT * FROM validate_migration_consistency() UNION ALL SELECT * FROM validate_business_rules()) c
     WHERE status <> 'PASS' ORDER BY 1`,
    )
  ).map(({ name }) => name);

test('a backfill of dirty data agrees with the oracle, and every count and rule passes (errata 8, 9, 14)', async () => {
  await using db = await synced(150);
  expect(await oracleDifferences(db.client)).toEqual([]);
  expect(await failing(db.pool)).toEqual([]);
  expect(await rows(db.pool, 'SELECT DISTINCT target FROM lockstep.quarantine ORDER BY 1')).toHaveLength(4);
});

const storable = (target: string, column: string) =>
  `NOT EXISTS (SELECT FROM lockstep.quarantine q WHERE q.target = '${target}' AND q.scope = ARRAY[t.${column}::text])`;
const one = (target: string, column: string, where = 'true') =>
  `(SELECT t.id FROM ${target} t WHERE ${storable(target, column)} AND ${where} ORDER BY t.id LIMIT 1)`;

/** By name: how a table is spoiled, and which counts and rules must see it as well as the oracle. */
const damages: Record<string, { sql: string; table: string; column?: string; checks: string[] }> = {
  'a missing subscription': {
    sql: `DELETE FROM user_subscriptions WHERE id = ${one('user_subscriptions', 'user_id', "status = 'active' AND id = user_id")}`,
    table: 'user_subscriptions',
    checks: ['one_active_subscription', 'plan_of_active_subscription', 'subscription_migration', 'subscription_rows'],
  },
  'another plan': {
    sql: `UPDATE user_subscriptions SET plan_id = CASE plan_id WHEN 'free' THEN 'pro' ELSE 'free' END
          WHERE id = ${one('user_subscriptions', 'user_id', "status = 'active'")}`,
    table: 'user_subscriptions',
    column: 'plan_id',
    checks: ['plan_of_active_subscription'],
  },
  'a missing photo': {
    sql: `DELETE FROM media_files WHERE id = ${one('media_files', 'id', "file_key LIKE 'legacy/photos/%' AND EXISTS (SELECT FROM project_media pm WHERE pm.media_file_id = t.id AND pm.project_id::text NOT IN (SELECT scope[1] FROM lockstep.quarantine))")}`,
    table: 'media_files',
    checks: ['media_migration', 'media_migration_photos', 'project_media_relationships', 'storage_bytes_of_user'],
  },
  'an invented media file': {
    sql: `INSERT INTO media_files SELECT (r).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), 'file_key', 'x', 'file_size_bytes', 0)) AS r
          FROM media_files t LIMIT 1) AS x`,
    table: 'media_files',
    checks: ['media_migration'],
  },
  'a size that is wrong by a byte': {
    sql: `UPDATE media_files SET file_size_bytes = file_size_bytes + 1 WHERE id = ${one('media_files', 'id')}`,
    table: 'media_files',
    column: 'file_size_bytes',
    checks: ['storage_bytes_of_user'],
  },
  'a photo in another place': {
    sql: `UPDATE project_media SET display_order = 999999 WHERE id = ${one('project_media', 'project_id')}`,
    table: 'project_media',
    column: 'display_order',
    checks: [],
  },
  'a job that finished a microsecond earlier': {
    sql: `UPDATE generation_jobs SET completed_at = completed_at - interval '1 microsecond' WHERE id = ${one('generation_jobs', 'id', 'completed_at IS NOT NULL')}`,
    table: 'generation_jobs',
    column: 'completed_at',
    checks: [],
  },
  'a missing job': {
    sql: `DELETE FROM generation_jobs WHERE id = ${one('generation_jobs', 'id')}`,
    table: 'generation_jobs',
    checks: ['generation_migration'],
  },
  'a scope that is in quarantine for nothing': {
    sql: `INSERT INTO lockstep.quarantine (direction, target, scope, sqlstate, message) VALUES ('forward', 'generation_jobs', ARRAY[${one('generation_jobs', 'id')}::text], '22001', '')`,
    table: 'lockstep.quarantine',
    checks: [],
  },
  'a refused scope that is not in quarantine': {
    sql: `DELETE FROM lockstep.quarantine WHERE ctid = (SELECT ctid FROM lockstep.quarantine WHERE target = 'generation_jobs' LIMIT 1)`,
    table: 'lockstep.quarantine',
    checks: ['generation_migration'],
  },
};

test('the oracle, the counts and the rules see damage', async () => {
  await using db = await synced(30);
  for (const [name, { sql, table, column, checks }] of Object.entries(damages)) {
    await db.client.query('BEGIN');
    const { rowCount } = await db.client.query(sql);
    expect(rowCount, name).toBe(1);
    expect(await failing(db.client), name).toEqual(checks);
    await db.client.query('COMMIT');
    const seen = await oracleDifferences(db.client);
    expect(
      seen.filter((difference) => difference.table === table && difference.column === column).length,
      name,
    ).toBeGreaterThan(0);
    await db.backfill();
    expect(await oracleDifferences(db.client), `${name}, mended`).toEqual([]);
  }
});
