/** Rows that another source brings into a scope, while their own events pass by. */
import pg from 'pg';
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { held } from '../support/held.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const user = '00000000-0000-0000-0000-000000000001';
const otherUser = '00000000-0000-0000-0000-000000000002';
const subscription = (n: number) => `30000000-0000-0000-0000-00000000000${n}`;

test('a row that another source reveals, and that is deleted before that merge commits, does not stay', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  // The subscription is an orphan: in legacy, not in the target, and with no event to come.
  const orphan = await pool.connect();
  await orphan.query(`SET session_replication_role = replica;
    INSERT INTO subscriptions (id, user_id, status) VALUES ('${subscription(1)}', '${user}', 'active'), ('${subscription(2)}', '${user}', 'cancelled');
    SET session_replication_role = origin;`);
  orphan.release();
  await pool.query(`INSERT INTO users (id, email) VALUES ('${user}', 'e')`);
  const { applier, reached, letGo } = held(pool, loaded, 'apply.before-commit');
  const revealing = deliver(pool, applier, { users: [[user]] });
  await reached;
  // Its event passes by while the merge that reveals it is not committed: nobody can tell the scope.
  await pool.query(`DELETE FROM subscriptions WHERE id = '${subscription(1)}'`);
  const other = createApplier({ pool, loaded, telemetry: silent });
  expect(await deliver(pool, other, { subscriptions: [[subscription(1), null]] })).toEqual({ kind: 'done' });
  letGo();
  expect(await revealing).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query('SELECT id::text FROM user_subscriptions')).rows).toEqual([{ id: subscription(2) }]);
});

test('a row that two merges insert under different scopes at once ends in the scope where it is', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const moved = await pool.connect();
  await moved.query(`SET session_replication_role = replica;
    INSERT INTO subscriptions (id, user_id, status) VALUES ('${subscription(1)}', '${user}', 'active');
    SET session_replication_role = origin;`);
  moved.release();
  await pool.query(`INSERT INTO users (id, email) VALUES ('${user}', 'e'), ('${otherUser}', 'f')`);
  const { applier, reached, letGo } = held(pool, loaded, 'apply.before-commit');
  const revealing = deliver(pool, applier, { users: [[user]] });
  await reached;
  await pool.query(`UPDATE subscriptions SET user_id = '${otherUser}'`);
  const moving = deliver(pool, createApplier({ pool, loaded, telemetry: silent }), {
    subscriptions: [[subscription(1), otherUser]],
  });
  // It finds the row nowhere, inserts it, and waits for the other insert to end.
  await eventually(
    async () => (await pool.query("SELECT FROM pg_stat_activity WHERE wait_event = 'transactionid'")).rowCount,
    { intervalMs: 2 },
  );
  letGo();
  expect(await Promise.all([revealing, moving])).toEqual([{ kind: 'done' }, { kind: 'done' }]);
  expect(await differences(pool, loaded)).toEqual({});
  const { rows } = await pool.query('SELECT user_id::text AS user FROM user_subscriptions WHERE id = $1', [
    subscription(1),
  ]);
  expect(rows).toEqual([{ user: otherUser }]);
});

const project = (n: number) => `10000000-0000-0000-0000-00000000000${n}`;
const photo = (n: number) => `20000000-0000-0000-0000-00000000000${n}`;

async function photosInTwoProjects(pool: pg.Pool) {
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${user}', 'e');
    INSERT INTO video_projects (id, user_id) VALUES ('${project(1)}', '${user}'), ('${project(2)}', '${user}');
    INSERT INTO photos (id, project_id, original_filename, file_url, upload_order) VALUES ('${photo(1)}', '${project(1)}', 'a', 'u', 1), ('${photo(2)}', '${project(2)}', 'b', 'v', 1)`);
}

test('a row that a merge moves without its lock, and that is deleted before that merge commits, does not stay', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  await photosInTwoProjects(pool);
  const other = createApplier({ pool, loaded, telemetry: silent });
  await deliver(pool, other, {
    users: [[user]],
    photos: [
      [photo(1), project(1)],
      [photo(2), project(2)],
    ],
  });
  // media_files has the photo no more, so that nothing but project_media's own merge can delete its row.
  await pool.query('ALTER TABLE project_media DROP CONSTRAINT project_media_media_file_id_fkey');
  await pool.query(`UPDATE photos SET project_id = '${project(2)}' WHERE id = '${photo(1)}'`);
  const direction = { ...loaded, targets: loaded.targets.filter(({ name }) => name === 'project_media') };
  const slow = held(pool, direction, 'apply.before-commit', 2);
  const moving = deliver(pool, slow.applier, { video_projects: [[project(2)]] });
  await slow.reached;
  await pool.query(`DELETE FROM photos WHERE id = '${photo(1)}'`);
  // Its merge finds the photo in project 1, where the target still shows it, and waits for that scope.
  const deleting = deliver(pool, createApplier({ pool, loaded: direction, telemetry: silent }), {
    photos: [[photo(1), null]],
  });
  await eventually(
    async () => (await pool.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).rowCount,
    { intervalMs: 2 },
  );
  slow.letGo();
  expect(await Promise.all([moving, deleting])).toEqual([{ kind: 'done' }, { kind: 'done' }]);
  expect(await differences(pool, direction)).toEqual({});
});

test('a merge does not overwrite a row that another merge has taken to another scope meanwhile', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  await photosInTwoProjects(pool);
  const other = createApplier({ pool, loaded, telemetry: silent });
  await deliver(pool, other, {
    users: [[user]],
    photos: [
      [photo(1), project(1)],
      [photo(2), project(2)],
    ],
  });
  // A merge of a session named `slow` stands still between its snapshot and its first write, until the flag is set.
  await pool.query(`
    CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      WHILE current_setting('application_name') = 'slow' AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted) LOOP
        PERFORM pg_sleep(0.002);
      END LOOP;
      RETURN NULL;
    END $$;
    CREATE TRIGGER stand_still BEFORE UPDATE ON project_media FOR EACH STATEMENT EXECUTE FUNCTION stand_still()`);
  await pool.query(`UPDATE photos SET upload_order = 7 WHERE id = '${photo(1)}'`);
  const slowPool = new pg.Pool({ connectionString: database.url, application_name: 'slow' });
  slowPool.on('error', () => {});
  const slow = deliver(slowPool, createApplier({ pool: slowPool, loaded, telemetry: silent }), {
    video_projects: [[project(1)]],
  });
  await eventually(
    async () =>
      (await pool.query("SELECT FROM pg_stat_activity WHERE application_name = 'slow' AND wait_event = 'PgSleep'"))
        .rowCount,
    { intervalMs: 2 },
  );
  // The photo moves; a merge of the project that it has entered meets it before its own event does.
  await pool.query(`UPDATE photos SET project_id = '${project(2)}' WHERE id = '${photo(1)}'`);
  const entered = deliver(pool, other, { video_projects: [[project(2)]] });
  await eventually(
    async () =>
      (
        await pool.query(
          "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted UNION ALL SELECT FROM project_media WHERE id = $1 AND project_id = $2",
          [photo(1), project(2)],
        )
      ).rowCount,
    { intervalMs: 2 },
  );
  const gate = await database.client();
  await gate.query('SELECT pg_advisory_lock(4711)');
  expect(await Promise.all([slow, entered])).toEqual([{ kind: 'done' }, { kind: 'done' }]);
  await slowPool.end();
  expect(await differences(pool, loaded)).toEqual({});
});

test('a photo that moves into a project whose user comes at the same moment is not left out', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const orphan = await pool.connect();
  await orphan.query(`SET session_replication_role = replica;
    INSERT INTO video_projects (id, user_id) VALUES ('${project(2)}', '${otherUser}');
    SET session_replication_role = origin;`);
  orphan.release();
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${user}', 'e');
    INSERT INTO video_projects (id, user_id) VALUES ('${project(1)}', '${user}');
    INSERT INTO photos (id, project_id, original_filename, file_url) VALUES ('${photo(1)}', '${project(1)}', 'a', 'u')`);
  const other = createApplier({ pool, loaded, telemetry: silent });
  await deliver(pool, other, { users: [[user]], photos: [[photo(1), project(1)]] });
  await pool.query(`UPDATE photos SET project_id = '${project(2)}'`);
  const { applier, reached, letGo } = held(pool, loaded, 'apply.before-commit');
  const moving = deliver(pool, applier, { photos: [[photo(1), project(2)]] });
  await reached;
  // The target still shows the photo, but in the project that it has left.
  await pool.query(`INSERT INTO users (id, email) VALUES ('${otherUser}', 'f')`);
  const coming = deliver(pool, other, { users: [[otherUser]] });
  const waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
  await eventually(async () => (await pool.query(waiting)).rowCount, { intervalMs: 2 });
  letGo();
  expect(await Promise.all([moving, coming])).toEqual([{ kind: 'done' }, { kind: 'done' }]);
  expect(await differences(pool, loaded)).toEqual({});
});
