import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import type { BackfillMessage } from '../../engine/message/message.ts';
import { readStatus } from '../../engine/status/status.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../../sql/migration.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { testDatabase } from '../support/database.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';
import { rows, sqlStateOf, value } from './world.ts';

async function guarded() {
  const db = await testDatabase({ template: photomemory });
  const roles = await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8');
  await db.pool.query(roles);
  await db.pool.query(roles);
  await seedLegacy(await db.client(), { users: 20 });
  const as = async (role: string) => {
    const client = await db.client();
    await client.query(`SET ROLE ${role}`);
    return client;
  };
  return { ...db, as };
}

const denied = '42501';

test('the listener keeps the ledger and cannot read a row of the application', async () => {
  await using db = await guarded();
  const listener = await db.as('lockstep_listener');
  for (const table of ['users', 'photos', 'media_files', 'lockstep_forward.orphans', 'lockstep.quarantine']) {
    expect(await sqlStateOf(listener.query(`SELECT FROM ${table}`)), table).toBe(denied);
  }
  await listener.query(
    `INSERT INTO lockstep.stream (direction, slot_name, publication_name, shards) VALUES ('forward', 's', 'p', 16)`,
  );
  await listener.query(`UPDATE lockstep.stream SET epoch = epoch + 1`);
  await listener.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     SELECT gen_random_uuid(), direction, 'changes', 0, '0/1', now(), 1 FROM lockstep.stream WHERE epoch = 1 FOR SHARE`,
  );
  expect((await listener.query('DELETE FROM lockstep.in_flight')).rowCount).toBe(1);
  expect(await sqlStateOf(listener.query("UPDATE lockstep.phase SET phase = 'reverse'"))).toBe(denied);
  expect(await value(db.pool, "SELECT rolreplication FROM pg_roles WHERE rolname = 'lockstep_listener'")).toBe(true);
});

test('the applier runs a whole backfill, and cannot write what it only reads', async () => {
  await using db = await guarded();
  const pool = new pg.Pool({ connectionString: db.url, max: 2, options: '-c role=lockstep_applier' });
  pool.on('error', () => {});
  try {
    const loaded = await loadPhotomemory(pool);
    const message: BackfillMessage = {
      version: 1,
      kind: 'backfill',
      id: randomUUID(),
      direction: 'forward',
      reason: 'first start',
      targets: migration.forward.targets.map(({ name }) => name),
    };
    await db.pool.query(
      `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
       VALUES ($1, 'forward', 'backfill', 0, '0/0', clock_timestamp(), 0)`,
      [message.id],
    );
    const applier = createApplier({ pool, loaded, telemetry: silent });
    expect(await applier.apply([message], { deadlineMs: Date.now() + 60_000 })).toEqual([{ kind: 'done' }]);
    expect(await value(pool, 'SELECT count(*)::int FROM media_files')).toBeGreaterThan(300);
    for (const write of [
      'TRUNCATE photos',
      'DELETE FROM users',
      'UPDATE users SET email = NULL',
      'DELETE FROM subscription_plans',
      'INSERT INTO system_settings VALUES (1)',
      "UPDATE lockstep.phase SET phase = 'reverse'",
      "UPDATE lockstep.in_flight SET commit_lsn = '0/0'",
    ]) {
      expect(await sqlStateOf(pool.query(write)), write).toBe(denied);
    }
  } finally {
    await pool.end();
  }
});

test('the validator counts and compares, and writes nothing but what it found', async () => {
  await using db = await guarded();
  const validator = await db.as('lockstep_validator');
  expect(
    (
      await rows(
        validator,
        'SELECT * FROM validate_migration_consistency() UNION ALL SELECT * FROM validate_business_rules()',
      )
    ).length,
  ).toBeGreaterThan(10);
  await rows(
    validator,
    'SELECT * FROM lockstep_forward.orphans, lockstep_forward.subscription_conflicts, lockstep.quarantine',
  );
  const writable = await rows(
    db.pool,
    `SELECT c.oid::regclass::text AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname IN ('public', 'lockstep', 'lockstep_forward', 'lockstep_reverse')
       AND has_table_privilege('lockstep_validator', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
     ORDER BY 1`,
  );
  expect(writable.map(({ table }) => table)).toEqual([
    'lockstep.drift',
    'lockstep.touched',
    'lockstep.validation',
    'lockstep.validation_target',
  ]);
});

test('the operator does what the applier and the validator do, keeps the engine’s state and makes audit partitions', async () => {
  await using db = await guarded();
  const operator = await db.as('lockstep_operator');
  await operator.query('UPDATE lockstep.backfill SET paused = true');
  await operator.query("UPDATE lockstep.phase SET phase = 'forward'");
  await operator.query('DELETE FROM media_files');
  expect(await value(operator, 'SELECT count(*)::int FROM ensure_audit_log_partitions(4)')).toBe(1);
  expect(await sqlStateOf(operator.query('DELETE FROM video_projects'))).toBe(denied);
});

test('the monitor reads the state, and no row of the application, not even one that has drifted', async () => {
  await using db = await guarded();
  const monitor = await db.as('lockstep_monitor');
  const { status } = await readStatus(monitor, 'forward');
  expect(status.phase).toBe('forward');
  for (const table of ['users', 'photos', 'media_files', 'lockstep_forward.media_files']) {
    expect(await sqlStateOf(monitor.query(`SELECT FROM ${table}`)), table).toBe(denied);
  }
  // How much has drifted it may count; which rows and what is in them it may not see.
  expect((await monitor.query('SELECT target FROM lockstep.drift')).rowCount).toBe(0);
  for (const column of ['key', 'scope', 'columns', 'reason', '*']) {
    expect(await sqlStateOf(monitor.query(`SELECT ${column} FROM lockstep.drift`)), column).toBe(denied);
  }
  expect(await sqlStateOf(monitor.query('DELETE FROM lockstep.quarantine'))).toBe(denied);
});
