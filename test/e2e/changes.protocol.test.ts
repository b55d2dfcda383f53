import { afterAll, beforeAll, expect, test } from 'vitest';
import { addPhoto, addUsers, id, rows } from '../sql/world.ts';
import { startWorld, type World } from './world.ts';

/** One world for all: each test has users of its own. */
let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 120_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const look = (sql: string, ...values: unknown[]) => rows(world.app, sql, values);
const quoted = (kind: Parameters<typeof id>[0], n: number) => `'${id(kind, n)}'`;

/** The photos of a project by their place, as the normalized tables have them. */
const order = async (project: number) =>
  (
    await look(
      'SELECT media_file_id AS id, display_order FROM project_media WHERE project_id = $1 ORDER BY 2',
      id('project', project),
    )
  ).map((row) => [row.id, row.display_order]);

test('two photos swap places in one transaction', async () => {
  await addUsers(world.app, 10);
  for (const n of [101, 102, 103]) await addPhoto(world.app, n, 10, { upload_order: n - 100 });
  await world.sync();
  expect(await order(10)).toEqual([
    [id('photo', 101), 1],
    [id('photo', 102), 2],
    [id('photo', 103), 3],
  ]);
  await world.app.query(
    `BEGIN;
     UPDATE photos SET upload_order = 2 WHERE id = ${quoted('photo', 101)};
     UPDATE photos SET upload_order = 1 WHERE id = ${quoted('photo', 102)};
     COMMIT`,
  );
  await world.sync();
  expect(await order(10)).toEqual([
    [id('photo', 102), 1],
    [id('photo', 101), 2],
    [id('photo', 103), 3],
  ]);
});

test('a photo moves to another project', async () => {
  await addUsers(world.app, 11, 12);
  await addPhoto(world.app, 111, 11);
  await world.sync();
  await world.app.query('UPDATE photos SET project_id = $1 WHERE id = $2', [id('project', 12), id('photo', 111)]);
  await world.sync();
  expect(await order(11)).toEqual([]);
  expect(await order(12)).toEqual([[id('photo', 111), 111]]);
  expect(await look('SELECT user_id, folder_path FROM media_files WHERE id = $1', id('photo', 111))).toEqual([
    { user_id: id('user', 12), folder_path: `/projects/${id('project', 12)}` },
  ]);
});

test('a photo is deleted, and the one that gave way to it moves up', async () => {
  await addUsers(world.app, 24);
  for (const n of [241, 242, 243]) await addPhoto(world.app, n, 24, { upload_order: 1 });
  await world.sync();
  expect(await order(24)).toEqual([241, 242, 243].map((n, index) => [id('photo', n), 1 + index]));
  // The event of a delete names the photo and not its project: that is known to the new tables alone.
  await world.app.query('DELETE FROM photos WHERE id = $1', [id('photo', 241)]);
  await world.sync();
  expect(await order(24)).toEqual([242, 243].map((n, index) => [id('photo', n), 1 + index]));
});

test('a project moves to another user, with its photos, videos and jobs', async () => {
  await addUsers(world.app, 13, 14);
  await addPhoto(world.app, 131, 13);
  await world.app.query(
    "INSERT INTO generated_videos (id, project_id, status, generation_service, file_url) VALUES ($1, $2, 'completed', 'runway', 'https://cdn.example/v')",
    [id('video', 132), id('project', 13)],
  );
  await world.sync();
  await world.app.query('UPDATE video_projects SET user_id = $1 WHERE id = $2', [id('user', 14), id('project', 13)]);
  await world.sync();
  const files = [id('photo', 131), id('video', 132)];
  expect(await look('SELECT id, user_id FROM media_files WHERE id = ANY ($1) ORDER BY id', files)).toEqual(
    files.map((file) => ({ id: file, user_id: id('user', 14) })),
  );
  expect(await look('SELECT user_id FROM generation_jobs WHERE id = $1', id('video', 132))).toEqual([
    { user_id: id('user', 14) },
  ]);
  expect(await order(13)).toHaveLength(1);
});

test('the active subscription is swapped in one transaction', async () => {
  await addUsers(world.app, 15);
  const statuses = () =>
    look('SELECT id, status FROM user_subscriptions WHERE user_id = $1 ORDER BY id', id('user', 15));
  await world.app.query(
    `INSERT INTO subscriptions (id, user_id, status, current_period_start, current_period_end)
     VALUES (${quoted('subscription', 151)}, ${quoted('user', 15)}, 'active', now(), now() + interval '1 month'),
            (${quoted('subscription', 152)}, ${quoted('user', 15)}, 'cancelled', now(), now() + interval '1 month')`,
  );
  await world.sync();
  const before = await statuses();
  await world.app.query(
    `BEGIN;
     UPDATE subscriptions SET status = 'active' WHERE id = ${quoted('subscription', 152)};
     UPDATE subscriptions SET status = 'cancelled' WHERE id = ${quoted('subscription', 151)};
     COMMIT`,
  );
  await world.sync();
  expect([before, await statuses()]).toEqual([
    [
      { id: id('subscription', 151), status: 'active' },
      { id: id('subscription', 152), status: 'cancelled' },
    ],
    [
      { id: id('subscription', 151), status: 'cancelled' },
      { id: id('subscription', 152), status: 'active' },
    ],
  ]);
});

test('a user is deleted: the cascades of both sides leave nothing of theirs, and all of the others', async () => {
  await addUsers(world.app, 16, 17);
  for (const n of [16, 17]) {
    await addPhoto(world.app, n * 10, n);
    await world.app.query(
      `INSERT INTO subscriptions (id, user_id) VALUES (${quoted('subscription', n)}, ${quoted('user', n)});
       INSERT INTO media_items (id, user_id, original_filename, file_url) VALUES (${quoted('item', n)}, ${quoted('user', n)}, 'song', 'https://cdn.example/song');
       INSERT INTO generated_videos (id, project_id, generation_service, file_url) VALUES (${quoted('video', n)}, ${quoted('project', n)}, 'runway', 'https://cdn.example/v')`,
    );
  }
  await world.sync();
  const owned = async (n: number) =>
    (
      await look(
        `SELECT (SELECT count(*)::int FROM user_subscriptions WHERE user_id = $1) AS subscriptions,
                (SELECT count(*)::int FROM media_files WHERE user_id = $1) AS files,
                (SELECT count(*)::int FROM project_media WHERE project_id = $2) AS placed,
                (SELECT count(*)::int FROM generation_jobs WHERE user_id = $1) AS jobs`,
        id('user', n),
        id('project', n),
      )
    )[0];
  const all = { subscriptions: 1, files: 3, placed: 1, jobs: 1 };
  expect(await owned(16)).toEqual(all);
  await world.app.query('DELETE FROM users WHERE id = $1', [id('user', 16)]);
  await world.sync();
  expect(await owned(16)).toEqual({ subscriptions: 0, files: 0, placed: 0, jobs: 0 });
  expect(await owned(17)).toEqual(all);
});

test('primary keys change', async () => {
  await addUsers(world.app, 18);
  await addPhoto(world.app, 181, 18);
  await world.sync();
  await world.app.query('UPDATE photos SET id = $1 WHERE id = $2', [id('photo', 182), id('photo', 181)]);
  await world.sync();
  expect(await order(18)).toEqual([[id('photo', 182), 181]]);
  const files = (ids: string[]) => look('SELECT id, file_key FROM media_files WHERE id = ANY ($1)', ids);
  expect(await files([id('photo', 181), id('photo', 182)])).toEqual([
    { id: id('photo', 182), file_key: `legacy/photos/${id('photo', 182)}` },
  ]);
  // Two photos exchange their keys, by way of a third, in one transaction.
  await addPhoto(world.app, 183, 18, { original_filename: 'other' });
  await world.app.query(
    `BEGIN;
     UPDATE photos SET id = ${quoted('photo', 189)} WHERE id = ${quoted('photo', 182)};
     UPDATE photos SET id = ${quoted('photo', 182)} WHERE id = ${quoted('photo', 183)};
     UPDATE photos SET id = ${quoted('photo', 183)} WHERE id = ${quoted('photo', 189)};
     COMMIT`,
  );
  await world.sync();
  expect(
    await look(
      "SELECT id, original_filename FROM media_files WHERE folder_path LIKE '%' || $1 ORDER BY id",
      id('project', 18),
    ),
  ).toEqual([
    { id: id('photo', 182), original_filename: 'other' },
    { id: id('photo', 183), original_filename: '181.jpg' },
  ]);
});

/** Text that does not compress, so that it is stored out of line. */
const noise = (bytes: number) =>
  `(SELECT string_agg(md5(n::text || ${bytes}), '') FROM generate_series(1, ${bytes / 32}) n)`;

test('a column beside a TOASTed one is updated, and the large one stays', async () => {
  await addUsers(world.app, 19);
  await addPhoto(world.app, 191, 19);
  await world.app.query(
    `UPDATE photos SET metadata = jsonb_build_object('exif', ${noise(64 * 1024)}) WHERE id = ${quoted('photo', 191)}`,
  );
  await world.sync();
  await world.app.query("UPDATE photos SET mime_type = 'image/webp' WHERE id = $1", [id('photo', 191)]);
  await world.sync();
  expect(
    await look(
      `SELECT f.mime_type, length(f.metadata ->> 'exif') AS length, f.metadata = p.metadata AS same
       FROM media_files f JOIN photos p ON p.id = f.id WHERE f.id = $1`,
      id('photo', 191),
    ),
  ).toEqual([{ mime_type: 'image/webp', length: 64 * 1024, same: true }]);
});

test('1 MB of metadata', async () => {
  await addUsers(world.app, 20);
  await addPhoto(world.app, 201, 20);
  await world.app.query(
    `UPDATE photos SET metadata = jsonb_build_object('exif', ${noise(1024 * 1024)}) WHERE id = ${quoted('photo', 201)}`,
  );
  await world.sync();
  expect(
    await look("SELECT length(metadata ->> 'exif') AS length FROM media_files WHERE id = $1", id('photo', 201)),
  ).toEqual([{ length: 1024 * 1024 }]);
});

test('what a savepoint has rolled back is not there, what is around it is', async () => {
  await addUsers(world.app, 21, 22);
  await addPhoto(world.app, 211, 21);
  await world.app.query(
    `BEGIN;
     UPDATE photos SET original_filename = 'before' WHERE id = ${quoted('photo', 211)};
     SAVEPOINT s;
     UPDATE photos SET project_id = ${quoted('project', 22)}, original_filename = 'never' WHERE id = ${quoted('photo', 211)};
     DELETE FROM users WHERE id = ${quoted('user', 22)};
     ROLLBACK TO SAVEPOINT s;
     UPDATE photos SET mime_type = 'image/after' WHERE id = ${quoted('photo', 211)};
     COMMIT`,
  );
  await world.sync();
  expect(
    await look('SELECT user_id, original_filename, mime_type FROM media_files WHERE id = $1', id('photo', 211)),
  ).toEqual([{ user_id: id('user', 21), original_filename: 'before', mime_type: 'image/after' }]);
  expect(await look('SELECT user_id FROM user_subscriptions WHERE user_id = $1', id('user', 22))).toHaveLength(1);
});

test('a row that is inserted and deleted in one transaction leaves nothing, nor does one that comes and goes at once', async () => {
  await addUsers(world.app, 23);
  await world.app.query('BEGIN');
  await addPhoto(world.app, 231, 23);
  await world.app.query('DELETE FROM photos WHERE id = $1', [id('photo', 231)]);
  await world.app.query('COMMIT');
  await addPhoto(world.app, 232, 23);
  await world.app.query('DELETE FROM photos WHERE id = $1', [id('photo', 232)]);
  await addPhoto(world.app, 233, 23);
  await world.sync();
  expect(await order(23)).toEqual([[id('photo', 233), 233]]);
  expect(await look('SELECT id FROM media_files WHERE user_id = $1', id('user', 23))).toEqual([
    { id: id('photo', 233) },
  ]);
});
