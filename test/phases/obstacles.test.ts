import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { arm } from '../../engine/phases/arm.ts';
import { readDefaults } from '../../engine/phases/guards.ts';
import { compareTouched } from '../../engine/phases/touched.ts';
import { silent } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import { migration } from '../migrations/library/migration.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { catalogs, type Library, startLibrary, stillLibrary } from './world.ts';

async function against(library: Library): Promise<string[]> {
  const result = await library.change('cutover', { dryRun: true });
  return result.outcome === 'refused' ? result.refusals.map(({ name, reason }) => `${name}: ${reason}`) : [];
}

test('what is not whole does not count: a sample, one target, another direction; a trigger, a publication, a table made anew', {
  timeout: 180_000,
}, async () => {
  await using library = await startLibrary();
  await library.arm();
  const { app, database, loaded } = library;
  const { pool } = database;
  const never = [expect.stringMatching(/^not-validated: Not every row/)];
  await validate({ pool, loaded, telemetry: silent, samplePercent: 99 });
  await validate({ pool, loaded, telemetry: silent, targets: ['memberships'] });
  expect(await against(library)).toEqual(never);
  await library.validate();
  expect(await against(library)).toEqual([]);
  await app.query("UPDATE library.borrowings SET remark = 'damaged' WHERE id = 7");
  await validate({ pool, loaded, telemetry: silent });
  expect(await against(library)).toEqual([expect.stringMatching(/^not-validated: The last validation found 1 rows/)]);
  await validate({ pool, loaded, telemetry: silent, repair: true });
  await library.validate();

  // As an earlier version wrote it: comparing would rely on what it does not do.
  const { rows } = await pool.query(`SELECT pg_get_functiondef('lockstep.witness_forward_1'::regproc) AS sql`);
  await app.query(rows[0].sql.replace('SET xid = excluded.xid', 'SET xid = greatest(touched.xid, excluded.xid)'));
  expect(await against(library)).toEqual([
    expect.stringMatching(/^not-armed: .*what notes the writes to borrowings is not of this version/),
  ]);
  await library.arm();
  await library.validate();
  await app.query('DROP TRIGGER lockstep_guard_legacy ON library.loans');
  expect(await against(library)).toEqual([expect.stringMatching(/^not-armed: .*1 of its triggers were dropped/)]);
  await library.arm();
  await app.query('ALTER TABLE library.loans ENABLE TRIGGER lockstep_guard_legacy');
  expect(await against(library)).toContainEqual(expect.stringMatching(/^not-armed: .*1 of its triggers/));
  await library.arm();
  await library.validate();
  // What a listener writes of itself while there is no publication could not be read by the one of that direction.
  const quiet = await database.client();
  await quiet.query('BEGIN; SELECT FROM lockstep.stream FOR UPDATE');
  await app.query('ALTER PUBLICATION lockstep_reverse DROP TABLE library.people');
  expect(await against(library)).toEqual([expect.stringMatching(/^not-armed: .*lockstep_reverse is not what/)]);
  await app.query('DROP PUBLICATION lockstep_reverse');
  expect(await against(library)).toContainEqual(expect.stringMatching(/^not-armed: .*lockstep_reverse does not exist/));
  await library.arm();
  await quiet.query('ROLLBACK');
  // Nobody has noted what was written while a witness was not there.
  expect(await against(library)).toEqual(never);
  await library.validate();
  expect(await against(library)).toEqual([]);
  await app.query(`CREATE TABLE library.anew (LIKE library.memberships INCLUDING ALL);
    INSERT INTO library.anew SELECT * FROM library.memberships; DROP TABLE library.memberships CASCADE;
    ALTER TABLE library.anew RENAME TO memberships; ALTER PUBLICATION lockstep_reverse ADD TABLE library.memberships (person_id)`);
  expect(await against(library)).toEqual([expect.stringMatching(/^not-armed: .*memberships" was made.* after/)]);
});

test('what was validated before it was armed, or before a step of the migration, is no proof', {
  timeout: 120_000,
}, async () => {
  await using library = await startLibrary();
  const { app } = library;
  const never = [expect.stringMatching(/^not-validated: Not every row/)];
  await library.validate();
  await app.query("UPDATE library.borrowings SET remark = 'damaged' WHERE id = 7");
  await library.arm();
  expect(await against(library)).toEqual(never);
  expect(await library.change('cutover')).toMatchObject({ outcome: 'refused' });
  await validate({ pool: library.database.pool, loaded: library.loaded, telemetry: silent, repair: true });
  await library.validate();
  expect(await against(library)).toEqual([]);
  const step = (owner: string) =>
    app.query(
      `INSERT INTO lockstep.step (owner, name, number, checksum, body, statements_begun, applied_at) VALUES ($1, 'later', 99, '', '', 1, clock_timestamp())`,
      [owner],
    );
  await step('lockstep');
  expect(await against(library)).toEqual([]);
  await step(migration.name);
  expect(await against(library)).toEqual(never);
});

test('a guarded column whose default is another each time is not compared with it', async () => {
  await using library = await stillLibrary();
  const guard = { relation: { schema: 'library', name: 'people' }, columns: ['plan'] };
  const pool = library.database.pool;
  expect(await readDefaults(pool, guard)).toEqual([{ name: 'plan', value: "'basic'::text" }]);
  await library.app.query('ALTER TABLE library.people ALTER plan SET DEFAULT md5(random()::text)');
  expect(await readDefaults(pool, guard)).toEqual([]);
  await library.app.query('ALTER TABLE library.people ALTER plan DROP DEFAULT');
  expect(await readDefaults(pool, guard)).toEqual([{ name: 'plan', value: 'NULL' }]);
});

test('what is no longer to be guarded is guarded no more after the next `arm`', async () => {
  await using library = await startLibrary();
  const { pool } = library.database;
  const guarding = async () => {
    const { rows } = await pool.query<{ name: string }>(
      "SELECT tgname AS name FROM pg_trigger WHERE tgrelid = 'library.people'::regclass AND tgname LIKE 'lockstep%' ORDER BY 1",
    );
    return rows.map(({ name }) => name);
  };
  await library.arm();
  const all = await guarding();
  expect(all).toContain('lockstep_guard_legacy_insert');
  await library.app.query('ALTER TABLE library.people ALTER plan SET DEFAULT md5(random()::text)');
  await library.arm();
  expect(await guarding()).toEqual(all.filter((name) => name !== 'lockstep_guard_legacy_insert'));
  await library.app.query("ALTER TABLE library.people ALTER plan SET DEFAULT 'basic'");
  await library.arm();
  expect(await guarding()).toEqual(all);
});

test('`arm` beside a cutover enables the triggers of the phase that this one leads to', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  const client = await library.database.client();
  const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<unknown>;
  let turned: Promise<unknown> | undefined;
  // What `arm` has read before its transaction is outdated when that begins.
  const late = Object.assign(Object.create(client), {
    query: async (text: string, values?: unknown[]) => {
      if (text === 'BEGIN') turned ??= library.change('cutover');
      await turned;
      return query(text, values);
    },
  });
  await arm({ client: late, migration, telemetry: silent });
  expect(await turned).toMatchObject({ outcome: 'switched' });
  const enabled = await library.app.query<{ active_in: string; tgenabled: string }>(
    `SELECT DISTINCT a.active_in, t.tgenabled FROM lockstep.armed_trigger a JOIN pg_trigger t ON t.tgrelid = a.relation AND t.tgname = a.name ORDER BY 1, 2`,
  );
  expect(enabled.rows).toEqual([
    { active_in: 'forward', tgenabled: 'D' },
    { active_in: 'reverse', tgenabled: 'A' },
  ]);
});

test('after a cutover a row that is inserted with a guarded column is refused, and one without it is not', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  const { app } = library;
  await app.query("INSERT INTO library.people VALUES (900, 'before', 'plus')");
  await library.settle();
  expect(await library.change('cutover')).toMatchObject({ outcome: 'switched' });
  await expect(app.query("INSERT INTO library.people VALUES (901, 'new', 'plus')")).rejects.toMatchObject({
    code: 'LS001',
    message: expect.stringMatching(/INSERT of column plan of library\.people .* writes to library\.memberships/),
  });
  await app.query("INSERT INTO library.people VALUES (902, 'new', 'basic')");
  await app.query("INSERT INTO library.people (id, name) VALUES (903, 'new')");
});

test('an unfinished backfill, and a vacuum that would hold up the locks, are against it', {
  timeout: 180_000,
}, async () => {
  await using library = await startLibrary(2_000);
  await library.arm();
  const { database, loaded } = library;
  const { pool } = database;
  await library.validate();
  const id = randomUUID();
  await enterBackfill(pool, loaded, { id, direction: 'forward', reason: 'test', targets: ['borrowings'] });
  expect(await against(library)).toEqual([expect.stringMatching(/^backfill-unfinished: 1 backfills of the forward/)]);
  await pool.query('DELETE FROM lockstep.backfill');

  const slow = await database.client();
  await slow.query("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1; UPDATE library.loans SET note = note");
  await library.settle();
  const vacuum = slow.query('VACUUM (INDEX_CLEANUP ON) library.loans').catch((error: unknown) => error);
  await eventually(
    async () =>
      (await pool.query('SELECT FROM pg_stat_progress_vacuum WHERE datname = current_database()')).rowCount === 1,
  );
  expect(await against(library)).toEqual([expect.stringMatching(/^vacuum: A vacuum is running on library\.loans/)]);
  await pool.query(
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'VACUUM (INDEX%'",
  );
  await vacuum;
  expect(await against(library)).toEqual([]);
});

test('much that does not agree is refused before anything is locked', async () => {
  await using library = await startLibrary(1_000);
  await library.arm();
  await library.validate();
  await library.app.query("UPDATE library.borrowings SET remark = 'damaged'");
  let locked = false;
  const failpoints = () => {
    locked = true;
  };
  expect(await library.change('cutover', { failpoints })).toMatchObject({
    outcome: 'refused',
    refusals: [{ name: 'too-much-to-compare', reason: expect.stringMatching(/^1000 scopes have been written/) }],
  });
  expect(locked).toBe(false);
});

test('what was written after a transaction began that is still open, in whichever database, is compared like the rest', async () => {
  await using library = await startLibrary(1_000);
  await using elsewhere = await testDatabase();
  await library.arm();
  await library.validate();
  const other = await elsewhere.client();
  await other.query('BEGIN; SELECT pg_current_xact_id()');
  await library.app.query("UPDATE library.loans SET note = 'much'");
  await library.settle();
  expect(await library.change('cutover', { maxPauseMs: 20_000 })).toMatchObject({ outcome: 'switched' });
  await other.query('COMMIT');
});

test('a row that goes into quarantine after everything has been looked at stops the cutover under the locks', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  const before = await catalogs(library.database.pool);
  const result = await library.change('cutover', {
    maxPauseMs: 20_000,
    failpoints: async (place) => {
      if (place === 'switch.prepared') await library.app.query("UPDATE library.people SET plan = 'gold' WHERE id = 2");
    },
  });
  expect(result).toMatchObject({ outcome: 'aborted', refusals: [{ name: 'quarantine' }] });
  expect(await catalogs(library.database.pool)).toEqual(before);
});

test('a scope that is written again while it is compared is compared once more', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  const { app, database, loaded } = library;
  await app.query("UPDATE library.loans SET note = 'agrees' WHERE id = 7");
  await library.settle();
  const touched = async () => (await app.query('SELECT target, scope FROM lockstep.touched')).rows;
  const scope = { target: 'borrowings', scope: ['8'] };
  expect(await touched()).toEqual([scope]);
  const client = await database.client();
  // Its transaction is older than the one that has touched it last.
  const writer = await database.client();
  await writer.query('BEGIN; SELECT pg_current_xact_id()');
  await app.query("UPDATE library.loans SET note = 'agrees still' WHERE id = 7");
  await library.settle();
  const meanwhile = Object.create(client, {
    query: {
      value: async (...args: Parameters<typeof client.query>) => {
        const result = await client.query(...args);
        if (String(args[0]) === 'COMMIT') {
          await writer.query("UPDATE library.borrowings SET remark = 'x' WHERE id = 7; COMMIT");
        }
        return result;
      },
    },
  });
  expect(await compareTouched(meanwhile, loaded)).toEqual({ compared: 1, agreed: 1, forgotten: 0 });
  expect(await touched()).toEqual([scope]);
  // Compared in peace it does not agree, and is kept; mended it is forgotten, but not while somebody writes it, who is not waited for.
  expect(await compareTouched(client, loaded)).toEqual({ compared: 1, agreed: 0, forgotten: 0 });
  await app.query("UPDATE library.borrowings SET remark = 'agrees still' WHERE id = 7");
  await writer.query("BEGIN; UPDATE library.borrowings SET remark = 'y' WHERE id = 7");
  expect(await compareTouched(client, loaded)).toEqual({ compared: 1, agreed: 1, forgotten: 0 });
  await writer.query('ROLLBACK');
  expect(await compareTouched(client, loaded)).toEqual({ compared: 1, agreed: 1, forgotten: 1 });
  expect(await touched()).toEqual([]);
});

test('a validation from before the direction turned does not count', async () => {
  await using library = await startLibrary();
  await library.arm();
  const refused = { outcome: 'refused', refusals: [{ name: 'not-validated' }] };
  await library.validate();
  expect(await library.change('cutover', { maxPauseMs: 20_000 })).toMatchObject({ outcome: 'switched' });
  expect(await library.change('rollback')).toMatchObject(refused);
  await library.validate();
  expect(await library.change('rollback', { maxPauseMs: 20_000 })).toMatchObject({ outcome: 'switched' });
  // The one of the first time is whole, agrees, and is a few seconds old.
  expect(await library.change('cutover')).toMatchObject(refused);
});
