import { expect, test } from 'vitest';
import { switchLock } from '../../engine/locks.ts';
import { id, rows, value } from '../sql/world.ts';
import { legacyCatalog, legacyRows } from './catalogs.ts';
import { cutOver } from './world.ts';

const legacyTables = `SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname IN ('subscriptions', 'photos', 'media_items', 'generated_videos')`;
const points = ['complete.prepared', 'complete.validated', 'complete.phase-changed', 'complete.dropped'] as const;
const crashAt = (wanted: string) => ({
  failpoints: (point: string) => {
    if (point === wanted) throw new Error(`crash at ${wanted}`);
  },
});

test('complete refuses what is not in step, goes on after a failure at any point, and restore gives everything back', {
  timeout: 240_000,
}, async () => {
  await using world = await cutOver();
  const { app } = world;

  // Rows that differ: neither dropped nor repaired by itself.
  const spoil = (sql: string) => app.query(`SET lockstep.applier = 'on'; ${sql}; RESET lockstep.applier`);
  await spoil(`UPDATE photos SET width = 4711 WHERE id = '${id('photo', 1)}'`);
  const refused = await world.complete();
  expect(refused).toMatchObject({ outcome: 'refused', refusals: [{ name: 'drift' }], report: { verdict: 'differs' } });
  expect(await value(app, legacyTables)).toBe(4);
  expect(await value(app, 'SELECT phase FROM lockstep.phase')).toBe('reverse');
  await spoil(`UPDATE photos SET width = NULL WHERE id = '${id('photo', 1)}'`);

  // Scopes that could not be written, those whose work was interrupted a moment ago, and work that is not done.
  const states = ['22001', '40003'];
  const put = (state: string) =>
    `INSERT INTO lockstep.quarantine (direction, target, scope, sqlstate, message) VALUES ('reverse', 'photos', '{x}', '${state}', 'why')`;
  for (const state of states) {
    await app.query(put(state));
    const outcome = await world.complete();
    expect(outcome, state).toMatchObject({ outcome: 'refused', refusals: [{ name: 'quarantine' }], report: null });
    await app.query('DELETE FROM lockstep.quarantine');
  }
  await app.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count) VALUES (gen_random_uuid(), 'reverse', 'changes', 0, '0/1', now(), 1)`,
  );
  expect(await world.complete({ barrierTimeoutMs: 300 })).toMatchObject({
    outcome: 'refused',
    refusals: [{ name: 'lag' }],
  });
  await app.query("DELETE FROM lockstep.in_flight WHERE commit_lsn = '0/1'");

  // What legacy refuses in the very last moment, when everything has been asked.
  const refusing = await world.database.client();
  for (const state of states) {
    const failpoints = async (point: string) => {
      if (point !== 'complete.validated') return;
      await refusing.query(`BEGIN; SELECT FROM lockstep.phase FOR SHARE; ${put(state)}`);
      setTimeout(() => refusing.query('COMMIT'), 500);
    };
    const outcome = await world.complete({ failpoints });
    expect(outcome, state).toMatchObject({ outcome: 'refused', refusals: [{ name: 'quarantine' }], report: null });
    expect(await value(app, 'SELECT phase FROM lockstep.phase')).toBe('reverse');
    await app.query('DELETE FROM lockstep.quarantine');
  }

  // A cutover or rollback holds this lock.
  const busy = await world.database.client();
  await busy.query('SELECT pg_advisory_lock($1)', [switchLock()]);
  await expect(world.complete()).rejects.toMatchObject({ code: 'LS_COMPLETION_BUSY' });
  await busy.query('SELECT pg_advisory_unlock($1)', [switchLock()]);

  const catalog = await legacyCatalog(app);
  const before = await legacyRows(app);
  expect(Object.keys(catalog).length).toBeGreaterThan(150);
  for (const point of points) {
    await expect(world.complete(crashAt(point)), point).rejects.toThrow(point);
    const phase = await value(app, 'SELECT phase FROM lockstep.phase');
    expect(phase, point).toBe(points.indexOf(point) < 2 ? 'reverse' : 'complete');
    expect(await value(app, legacyTables), point).toBe(point === 'complete.dropped' ? 0 : 4);
    // Nobody reads what is written there from now on.
    if (point === 'complete.phase-changed') {
      await expect(app.query('UPDATE photos SET width = 1')).rejects.toMatchObject({ code: 'LS001' });
      await expect(
        app.query("INSERT INTO users (id, email, subscription_plan) VALUES (gen_random_uuid(), 'late', 'pro')"),
      ).rejects.toMatchObject({ code: 'LS001' });
    }
  }
  expect(await world.complete()).toEqual({ outcome: 'complete', steps: [], leftovers: [] });
  expect(await world.complete()).toEqual({ outcome: 'complete', steps: [], leftovers: [] });
  expect(await rows(app, 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()')).toEqual([]);
  expect(await rows(app, 'SELECT pubname FROM pg_publication')).toEqual([{ pubname: 'elsewhere' }]);
  expect(
    await rows(
      app,
      "SELECT FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname IN ('subscription_plan', 'total_storage_bytes')",
    ),
  ).toEqual([]);
  expect(await value(app, "SELECT to_regnamespace('lockstep_app')")).toBeNull();
  expect(
    await rows(
      app,
      "SELECT table_name, backup_row_count::int AS n FROM migration_backup.migration_log WHERE table_name IN ('photos', 'usage_records') ORDER BY id DESC LIMIT 2",
    ),
  ).toEqual([
    { table_name: 'usage_records', n: 1 },
    { table_name: 'photos', n: 4 },
  ]);

  // The application goes on; then back. A restore that fails has done nothing.
  await app.query(`UPDATE users SET display_name = 'still here'; SELECT refresh_user_analytics_summary()`);
  await expect(world.restore(crashAt('restore.before-commit'))).rejects.toThrow('crash');
  expect(await value(app, legacyTables)).toBe(0);
  await app.query('CREATE TABLE photos (id INTEGER)');
  await expect(world.restore()).rejects.toMatchObject({
    code: 'LS_RESTORE_FAILED',
    message: expect.stringMatching(
      /rollback_to_legacy\.sql line \d+: relation "photos" already exists \(SQLSTATE 42P07\)/,
    ),
  });
  expect(await value(app, 'SELECT phase FROM lockstep.phase')).toBe('complete');
  await app.query('DROP TABLE photos');
  expect(await value(app, legacyTables)).toBe(0);
  const restored = await world.restore();
  expect(restored).toMatchObject({
    fromBackup: true,
    derived: 'finished',
    rowsDerived: { photos: 0, users: 0, subscriptions: 0 },
  });
  expect(await legacyCatalog(app)).toEqual(catalog);
  expect(JSON.stringify(await legacyRows(app)).replaceAll('still here', '')).toBe(
    JSON.stringify(before).replaceAll('"display_name":null', '"display_name":""'),
  );
});

test('errata 22 and 23: what was written after the end is in the restored tables; what was deleted stays deleted', {
  timeout: 240_000,
}, async () => {
  await using world = await cutOver();
  const { app } = world;
  expect(await world.complete()).toMatchObject({ outcome: 'complete' });
  await app.query(`
    DELETE FROM users WHERE id = '${id('user', 2)}';
    UPDATE user_subscriptions SET plan_id = 'enterprise' WHERE user_id = '${id('user', 1)}';
    UPDATE media_files SET file_size_bytes = 5000 WHERE id = '${id('photo', 1)}';
    INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes, folder_path, tags)
      VALUES ('${id('item', 7)}', '${id('user', 1)}', 'new.pdf', 'uploads/1', 'https://cdn/new.pdf', 'file', 'application/pdf', 10, '/', '{holiday}')`);
  const restored = await world.restore();
  expect(restored.losses.map(({ column, reason }) => `${column}: ${reason}`)).toContain(
    'tags: legacy has no column for it',
  );
  expect(await rows(app, `SELECT user_id, original_filename FROM media_items ORDER BY id`)).toEqual([
    { user_id: id('user', 1), original_filename: 'new.pdf' },
  ]);
  expect(
    await rows(
      app,
      `SELECT subscription_plan, total_storage_bytes::int AS bytes FROM users WHERE id = '${id('user', 1)}'`,
    ),
  ).toEqual([{ subscription_plan: 'enterprise', bytes: 5000 + 1000 + 77 + 10 }]);
  expect(
    await rows(app, `SELECT id FROM photos WHERE project_id IS NULL OR project_id = '${id('project', 9)}' ORDER BY id`),
  ).toEqual([{ id: id('photo', 8) }, { id: id('photo', 9) }]);
  expect(await value(app, `SELECT count(*)::int FROM generated_videos WHERE project_id = '${id('project', 2)}'`)).toBe(
    0,
  );
  // From here the way goes on: in step again, guarded, and completed a second time.
  await expect(app.query(`DELETE FROM photos`)).rejects.toMatchObject({ code: 'LS001' });
  await world.listen();
  await app.query(`UPDATE media_files SET original_filename = 'again.pdf' WHERE id = '${id('item', 7)}'`);
  await world.settle();
  expect(await value(app, 'SELECT original_filename FROM media_items')).toBe('again.pdf');
  await world.validate();
  expect(await world.complete()).toMatchObject({ outcome: 'complete', leftovers: [] });
});
