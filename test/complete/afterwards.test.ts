import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createReader } from '../../dashboard/read.ts';
import { systemClock } from '../../engine/clock.ts';
import { silent } from '../../engine/telemetry.ts';
import { createHealth } from '../../functions/health/handler.ts';
import { armDatabase, migrateDatabase } from '../../functions/migrate/handler.ts';
import { createValidateHandler } from '../../functions/validate/handler.ts';
import { folderStore } from '../../infra/reports/store.ts';
import { migration } from '../../sql/migration.ts';
import { lockstep } from '../cli/lockstep.ts';
import { startListening } from '../e2e/world.ts';
import { rows, value } from '../sql/world.ts';
import { cutOver, folder } from './world.ts';

const noSecrets = {
  read: async (arn: string): Promise<string> => {
    throw new Error(`asked for ${arn}`);
  },
  forget() {},
};

test('after the end every command either works or says that there is nothing left to do; deployments and upkeep go on', {
  timeout: 240_000,
}, async () => {
  await using world = await cutOver();
  const { app, database, settings } = world;
  const { pool } = database;
  const roles = await readFile(`${folder}/roles.sql`, 'utf8');
  await app.query(roles);
  // A standby that sees the slot become free must not make another, and has done its duty.
  const standing = startListening(world);
  expect(await world.complete()).toMatchObject({ outcome: 'complete', leftovers: [] });
  expect(await (await standing).ended).toBe('complete');
  expect(await rows(app, 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()')).toEqual([]);

  const command = (...args: string[]) => lockstep(args, settings);
  for (const args of [
    ['wait'],
    ['validate'],
    ['backfill'],
    ['backfill', '--status'],
    ['retry'],
    ['arm', '--yes'],
    ['listen'],
  ]) {
    const { code, stderr } = await command(...args);
    expect([code, stderr], args.join(' ')).toEqual([2, expect.stringContaining('(LS_COMPLETE)')]);
    expect(stderr, args.join(' ')).toContain('lockstep restore');
  }
  const status = await command('status');
  expect([status.code, status.stderr]).toEqual([0, '']);
  expect(status.stdout).toMatch(/^phase {7}complete: there is one schema.*\nvalidation {2}agrees, .* ago\n$/);
  expect(JSON.parse((await command('status', '--json')).stdout)).toMatchObject({
    phase: 'complete',
    armed: false,
    slot: null,
    findings: [],
  });
  const migrated = await command('migrate');
  expect([migrated.code, migrated.stdout]).toEqual([0, 'Nothing was due.\nThe publication is dropped.\n']);

  // The page reads nothing that is gone, and has nothing to say against it.
  const { snapshot } = await createReader({ pool, migration, database: database.name }).read(true);
  expect(snapshot).toMatchObject({ phase: 'complete', verdict: { level: 'well', title: 'Complete' } });
  expect(snapshot.next.command).toBe(null);

  // A deployment runs all of this again, as the owner.
  const parts = { pool, migration, folder, telemetry: silent, roleSecrets: {}, secrets: noSecrets };
  for (const time of ['first', 'second']) {
    expect(await migrateDatabase(parts), time).toEqual({ steps: [], publication: 'dropped', roles: [] });
  }
  await expect(armDatabase(parts)).rejects.toMatchObject({ code: 'LS_COMPLETE' });
  const views = await rows<{ view: string }>(
    app,
    `SELECT oid::regclass::text AS view FROM pg_class WHERE relnamespace = 'lockstep_monitoring'::regnamespace AND relkind = 'v' ORDER BY 1`,
  );
  expect(views.length).toBeGreaterThan(2);
  for (const { view } of views) await app.query(`SELECT * FROM ${view}`);
  expect(await rows(app, 'SELECT * FROM lockstep_monitoring.alerts')).toEqual([]);

  await app.query(roles);

  // What is scheduled, with the rights that it has.
  const as = (role: string) => new pg.Pool({ connectionString: database.url, max: 2, options: `-c role=${role}` });
  const [monitor, validator] = [as('lockstep_monitor'), as('lockstep_validator')];
  try {
    const look = createHealth({ db: monitor, migration, telemetry: silent, clock: systemClock });
    expect(await look()).toEqual({ status_published: 1 });
    const validate = createValidateHandler({
      pool: validator,
      migration,
      reports: folderStore(tmpdir()),
      telemetry: silent,
    });
    const invocation = { getRemainingTimeInMillis: () => 60_000 };
    for (const task of ['counts', 'rows']) {
      expect(await validate({ task }, invocation)).toEqual({ task, verdict: null, complete: true });
    }
    const newest = "to_regclass('audit_logs_' || to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYY_MM'))";
    await app.query(
      `DO $$ BEGIN EXECUTE 'DROP TABLE ' || ${newest}; END $$; INSERT INTO users (email) VALUES ('late@example.org')`,
    );
    expect(await validate({ task: 'upkeep' }, invocation)).toMatchObject({ task: 'upkeep', complete: true });
    expect(await value(app, `SELECT ${newest} IS NOT NULL`)).toBe(true);
    expect(
      await value(
        app,
        "SELECT count(*)::int FROM user_analytics_summary JOIN users ON id = user_id WHERE email = 'late@example.org'",
      ),
    ).toBe(1);
  } finally {
    await Promise.all([monitor.end(), validator.end()]);
  }

  // A slot that could not be dropped then keeps WAL, and is told.
  await app.query("SELECT pg_create_logical_replication_slot(current_database() || '_left', 'pgoutput')");
  await app.query(
    "INSERT INTO lockstep.stream (direction, slot_name, publication_name, shards) VALUES ('reverse', current_database() || '_left', 'left', 1)",
  );
  const left = await command('status');
  expect([left.code, left.stdout]).toEqual([1, expect.stringContaining('run `lockstep complete` again')]);
  expect(await world.complete()).toEqual({ outcome: 'complete', steps: [], leftovers: [] });
  expect((await command('status')).code).toBe(0);
});
