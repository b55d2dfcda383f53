/**
 * Rows of a target that others than a merge write or keep: a parent is deleted, by the application or by a merge, and the server
 * takes along what refers to it; a trigger suppresses a write.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import type { ApplyOutcome } from '../../engine/apply/outcome.ts';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { runBackfill } from '../../engine/backfill/run.ts';
import type { Failpoint } from '../../engine/failpoint.ts';
import type { Direction } from '../../engine/migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { arm } from '../../engine/phases/arm.ts';
import { verifyTouched } from '../../engine/phases/touched.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../../sql/migration.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { held } from '../support/held.ts';
import { loadPhotomemory, photomemory, runEngineSchema } from '../support/photomemory.ts';

const before = '00000000-0000-0000-0000-000000000001';
const after = '00000000-0000-0000-0000-000000000002';
const from = '20000000-0000-0000-0000-000000000001';
const to = '20000000-0000-0000-0000-000000000002';
const first = '30000000-0000-0000-0000-000000000001';
const second = '30000000-0000-0000-0000-000000000002';
const item = '40000000-0000-0000-0000-000000000001';

const waitsSql = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`;

/** Merges while the application has deleted something and not committed yet; it commits when the merge waits for it. */
async function mergeBeside(
  database: TestDatabase,
  deleteSql: string,
  merge: () => Promise<ApplyOutcome>,
): Promise<void> {
  const app = await database.client();
  await app.query(`BEGIN; ${deleteSql}`);
  const merging = merge();
  await eventually(async () => (await database.pool.query(waitsSql)).rowCount, { intervalMs: 2 });
  await app.query('COMMIT');
  expect(await merging).toEqual({ kind: 'done' });
}

test('a row that goes with the parent it had, while it is merged for the one it has, is there afterwards', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  await pool.query(`INSERT INTO users (id, email) VALUES ('${before}', 'e'), ('${after}', 'f');
    INSERT INTO media_items (id, user_id, original_filename, file_url) VALUES ('${item}', '${before}', 'a.mp3', 'https://cdn/a')`);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  expect(await deliver(pool, applier, { users: [[before], [after]], media_items: [[item]] })).toEqual({ kind: 'done' });

  await pool.query(`UPDATE media_items SET user_id = '${after}'`);
  await mergeBeside(database, `DELETE FROM users WHERE id = '${before}'`, () =>
    deliver(pool, applier, { media_items: [[item]] }),
  );
  // The event of the deleted user finds nothing of his.
  expect(await deliver(pool, applier, { users: [[before]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query('SELECT user_id::text AS user FROM media_files')).rows).toEqual([{ user: after }]);
  expect((await pool.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);
});

/** Two photos, the first in `from`, and two users; all in step. */
async function inStep({ ownerOfFrom = before, secondIn = from }) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase({ template: photomemory }));
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  await pool.query(`INSERT INTO users (id, email) VALUES ('${before}', 'e'), ('${after}', 'f');
    INSERT INTO video_projects (id, user_id, title, status) VALUES ('${from}', '${ownerOfFrom}', 't', 'draft'), ('${to}', '${before}', 't', 'draft');
    INSERT INTO photos (id, project_id, original_filename, file_url, mime_type, created_at)
    VALUES ('${first}', '${from}', 'a.jpg', 'https://cdn/a', 'image/jpeg', '2026-01-01'),
           ('${second}', '${secondIn}', 'b.jpg', 'https://cdn/b', 'image/jpeg', '2026-01-02')`);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  const photos = [
    [first, from],
    [second, secondIn],
  ];
  const all = { users: [[before], [after]], video_projects: [[from], [to]], photos };
  expect(await deliver(pool, applier, all)).toEqual({ kind: 'done' });
  const parts = stack.move();
  return { database, pool, loaded, applier, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** The first photo moves to the other project, and that has no owner any more. */
async function orphaned() {
  const world = await inStep({});
  await world.pool.query(
    `UPDATE photos SET project_id = '${to}' WHERE id = '${first}'; UPDATE video_projects SET user_id = NULL WHERE id = '${to}'`,
  );
  return world;
}

const oneScopeEach = { rowsPerTransaction: 50, scopesPerTransaction: 1 };

/** Merges the first of the scopes that the first photo leads to, and is gone. */
async function interrupted(pool: pg.Pool, loaded: LoadedDirection): Promise<void> {
  const crash = new Error('crash');
  let commits = 0;
  const failpoints = (point: Failpoint) => {
    if (point === 'apply.committed' && ++commits === 1) throw crash;
  };
  const applier = createApplier({ pool, loaded, telemetry: silent, limits: oneScopeEach, failpoints });
  await expect(deliver(pool, applier, { photos: [[first, to]] })).rejects.toBe(crash);
}

test('a photo that goes with the project it was in, while it is moved, is in the other one, and leaves that like any', async () => {
  await using world = await inStep({ secondIn: to });
  const { database, pool, loaded, applier } = world;
  await pool.query(`UPDATE photos SET project_id = '${to}'`);
  await mergeBeside(database, `DELETE FROM video_projects WHERE id = '${from}'`, () =>
    deliver(pool, applier, { photos: [[first, to]] }),
  );
  expect(await deliver(pool, applier, { video_projects: [[from]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  // Its own event finds the project by the target's row alone; the other photo has its number back.
  await pool.query('DELETE FROM photos WHERE id = $1', [first]);
  expect(await deliver(pool, applier, { photos: [[first, null]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query('SELECT id::text, display_order FROM project_media')).rows).toEqual([
    { id: second, display_order: 0 },
  ]);
});

const quarantineSql = 'SELECT target, scope, sqlstate FROM lockstep.quarantine';
const unfinished = [{ target: 'project_media', scope: [from], sqlstate: '40003' }];

test('a scope that loses a row with its parent, which another message deletes, is merged with that one', async () => {
  await using world = await orphaned();
  const { pool, applier, loaded } = world;
  // The photo's file goes, and the photo from the project that the target has it in; nothing leads there any more.
  expect(await deliver(pool, applier, { video_projects: [[to]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect(await deliver(pool, applier, { photos: [[first, to]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query('SELECT id::text, display_order FROM project_media')).rows).toEqual([
    { id: second, display_order: 0 },
  ]);
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
});

test('… and is noted until then, should that be interrupted: its own message does not lead there when it comes again', async () => {
  await using world = await orphaned();
  const { pool, applier, loaded } = world;
  await interrupted(pool, loaded);
  expect((await pool.query(quarantineSql)).rows).toEqual(expect.arrayContaining(unfinished));
  expect(await deliver(pool, applier, { photos: [[first, to]] })).toEqual({ kind: 'done' });
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
});

test('… or by a backfill of its parents alone', async () => {
  await using world = await orphaned();
  const { pool, applier, loaded } = world;
  const id = randomUUID();
  await enterBackfill(pool, loaded, { id, direction: 'forward', reason: 'test', targets: ['media_files'] });
  await runBackfill({ pool, loaded, runId: id, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  expect((await pool.query(quarantineSql)).rows).toEqual(unfinished);
  expect(await deliver(pool, applier, { photos: [[first, to]] })).toEqual({ kind: 'done' });
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  expect(await differences(pool, loaded)).toEqual({});
});

test('… also where another merge is just moving the row to: it is waited for', async () => {
  await using world = await orphaned();
  const { pool, applier, loaded } = world;
  const third = '20000000-0000-0000-0000-000000000003';
  // One scope at a time, so that it holds the photo in its new project, and the file's lock no more.
  const { applier: moving, reached, letGo } = held(pool, loaded, 'apply.before-commit', 3, oneScopeEach);
  const last = '30000000-0000-0000-0000-000000000003';
  await pool.query(`INSERT INTO video_projects (id, user_id, title, status) VALUES ('${third}', '${before}', 't', 'draft');
    INSERT INTO photos (id, project_id, original_filename, file_url, mime_type, created_at)
    VALUES ('${last}', '${third}', 'c.jpg', 'https://cdn/c', 'image/jpeg', '2026-01-03');
    UPDATE photos SET project_id = '${third}' WHERE id = '${first}'`);
  expect(await deliver(pool, applier, { video_projects: [[third]], photos: [[last, third]] })).toEqual({
    kind: 'done',
  });
  await pool.query(`UPDATE photos SET project_id = '${from}' WHERE id = '${first}'`);
  expect(await deliver(pool, applier, { photos: [[first, from]] })).toEqual({ kind: 'done' });
  await pool.query(`UPDATE photos SET project_id = '${third}' WHERE id = '${first}'`);
  const moved = deliver(pool, moving, { photos: [[first, third]] });
  await reached;
  // On to the project without an owner: the file is to go.
  await pool.query(`UPDATE photos SET project_id = '${to}' WHERE id = '${first}'`);
  const deleting = deliver(pool, applier, { video_projects: [[to]] });
  await eventually(async () => (await pool.query(waitsSql)).rowCount, { intervalMs: 2 });
  letGo();
  expect(await Promise.all([moved, deleting])).toEqual([{ kind: 'done' }, { kind: 'done' }]);
  expect(await deliver(pool, applier, { photos: [[first, to]] })).toEqual({ kind: 'done' });
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
  expect(await differences(pool, loaded)).toEqual({});
});

test('a scope that a message has found by the target alone is noted before a further transaction merges it', async () => {
  await using world = await inStep({ ownerOfFrom: after });
  const { pool, loaded, applier } = world;
  await pool.query(`UPDATE photos SET project_id = '${to}' WHERE id = '${first}'`);
  await interrupted(pool, loaded);
  // The file is the other user's by now, and goes with him; the photo with it, from the project that it has left.
  await pool.query(`DELETE FROM users WHERE id = '${before}'`);
  expect(await deliver(pool, applier, { photos: [[first, to]] })).toEqual({ kind: 'done' });
  const gone = { photos: [[first, null]], users: [[before]], video_projects: [[to]] };
  expect(await deliver(pool, applier, gone)).toEqual({ kind: 'done' });
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
});

test('a write that the table does not take is told, and not repeated for ever', async () => {
  await using world = await inStep({});
  const { pool, applier, loaded } = world;
  await pool.query(`CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER suppress BEFORE UPDATE ON media_files FOR EACH ROW EXECUTE FUNCTION suppress();
    UPDATE photos SET original_filename = 'other.jpg' WHERE id = '${first}'`);
  expect(await deliver(pool, applier, { photos: [[first, from]] })).toEqual({ kind: 'done' });
  const { rows } = await pool.query('SELECT target, scope, message FROM lockstep.quarantine');
  expect(rows).toEqual([
    { target: 'media_files', scope: [first], message: expect.stringMatching(/look for a trigger or policy/) },
  ]);
  await pool.query('DROP TRIGGER suppress ON media_files');
  expect(await deliver(pool, applier, { photos: [[first, from]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
});

test('known gap: what the application’s own cascade takes from a scope that no event names is drift, which a cutover finds', async () => {
  await using world = await inStep({ ownerOfFrom: after });
  const { database, pool, loaded, applier } = world;
  await arm({ client: await database.client(), migration, telemetry: silent });
  // One id in two tables at once: the file becomes the other user's, and goes with him and the photo.
  await pool.query(`BEGIN; DELETE FROM photos WHERE id = '${first}';
    INSERT INTO media_items (id, user_id, original_filename, file_url) VALUES ('${first}', '${before}', 'a.jpg', 'https://cdn/a'); COMMIT`);
  expect(await deliver(pool, applier, { media_items: [[first]] })).toEqual({ kind: 'done' });
  await pool.query(`DELETE FROM users WHERE id = '${before}'`);
  const gone = { photos: [[first, null]], media_items: [[first]], users: [[before]], video_projects: [[to]] };
  expect(await deliver(pool, applier, gone)).toEqual({ kind: 'done' });
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
  expect((await verifyTouched(pool, loaded)).differences).toMatchObject([
    { target: 'project_media', kind: 'different', key: [second], columns: { display_order: {} } },
  ]);
});

const folders: Direction = {
  sources: [{ name: 'folders', relation: { schema: 'old', name: 'folders' }, key: ['id'], routing: ['owner'] }],
  targets: [
    {
      name: 'folders',
      relation: { schema: 'new', name: 'folders' },
      view: { schema: 'lockstep_forward', name: 'folders' },
      scope: ['owner'],
      writes: 'rows',
      keyedBy: ['folders'],
      scopesOf: {
        folders: `SELECT owner FROM changed UNION ALL SELECT f.owner FROM changed c JOIN old.folders f ON f.id = c.id
          UNION ALL SELECT t.owner FROM changed c JOIN new.folders t ON t.id = c.id`,
      },
      walk: [{ relation: { schema: 'old', name: 'folders' }, columns: ['owner'] }],
    },
  ],
};

test('rows of one table that go with each other, in a circle, too', async () => {
  await using database = await testDatabase({ template: { name: 'engine_for_folders', build: runEngineSchema } });
  const { pool } = database;
  await pool.query(`CREATE SCHEMA old; CREATE SCHEMA new; CREATE SCHEMA lockstep_forward;
    CREATE TABLE old.folders (id BIGINT PRIMARY KEY, owner BIGINT, parent BIGINT);
    CREATE TABLE new.folders (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, parent BIGINT REFERENCES new.folders ON DELETE CASCADE, rank BIGINT NOT NULL);
    CREATE VIEW lockstep_forward.folders AS SELECT id, owner, parent, row_number() OVER (PARTITION BY owner ORDER BY id) AS rank FROM old.folders;
    INSERT INTO old.folders VALUES (1, 1, 2), (2, 2, 1), (3, 2, NULL), (4, 3, NULL)`);
  const loaded = await loadDirection(pool, 'forward', folders);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  const all = [1, 2, 3, 4].map((id) => [String(id), String(id === 4 ? 3 : id === 3 ? 2 : id)]);
  expect(await deliver(pool, applier, { folders: all })).toEqual({ kind: 'done' });
  await pool.query(
    'UPDATE old.folders SET owner = 3, parent = NULL WHERE id = 2; DELETE FROM old.folders WHERE id = 1',
  );
  expect(await deliver(pool, applier, { folders: [['1', null]] })).toEqual({ kind: 'done' });
  expect(await deliver(pool, applier, { folders: [['2', '3']] })).toEqual({ kind: 'done' });
  expect((await pool.query(quarantineSql)).rows).toEqual([]);
  expect(await differences(pool, loaded)).toEqual({});
});
