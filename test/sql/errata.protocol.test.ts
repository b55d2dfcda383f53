import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { addPhoto, addUsers, derive, id, rows, sqlStateOf, value, writeOrphans } from './world.ts';

/** Each test is named after the erratum that it would fail on with the strategy's own text. */

async function database() {
  return await testDatabase({ template: photomemory });
}

const subscribe = (n: number, user: number, columns: Record<string, unknown>) => {
  const row = { id: id('subscription', n), user_id: id('user', user), created_at: '2026-03-01T00:00:00Z', ...columns };
  const names = Object.keys(row);
  return {
    text: `INSERT INTO subscriptions (${names.join(', ')}) VALUES (${names.map((_, i) => `$${i + 1}`).join(', ')})`,
    values: Object.values(row),
  };
};

test('erratum 4: of several active subscriptions the latest stays, the others are cancelled, the user is listed', async () => {
  await using db = await database();
  await addUsers(db.pool, 1, 2, 3);
  await db.pool.query(subscribe(1, 1, { status: 'active', current_period_end: '2026-05-01T00:00:00Z' }));
  await db.pool.query(subscribe(2, 1, { status: null, current_period_end: '2026-06-01T00:00:00Z' }));
  await db.pool.query(subscribe(3, 1, { status: 'expired', current_period_end: '2026-07-01T00:00:00Z' }));
  // The same period end: the later one; the same time too: the greater id.
  await db.pool.query(
    subscribe(4, 2, { current_period_end: '2026-05-01T00:00:00Z', created_at: '2026-03-02T00:00:00Z' }),
  );
  await db.pool.query(subscribe(5, 2, { current_period_end: '2026-05-01T00:00:00Z' }));
  await db.pool.query(subscribe(6, 3, {}));
  await db.pool.query(subscribe(7, 3, {}));
  expect(await derive(db.pool, 'user_subscriptions')).toBe(7);
  const statuses = await rows<{ n: string; status: string }>(
    db.pool,
    'SELECT right(id::text, 1) AS n, status FROM user_subscriptions ORDER BY id',
  );
  expect(statuses.map(({ n, status }) => `${n} ${status}`)).toEqual([
    '1 cancelled',
    '2 active',
    '3 expired',
    '4 active',
    '5 cancelled',
    '6 cancelled',
    '7 active',
  ]);
  expect(await rows(db.pool, 'SELECT * FROM lockstep_forward.subscription_conflicts ORDER BY user_id')).toEqual([
    {
      user_id: id('user', 1),
      active_subscriptions: '2',
      kept_id: id('subscription', 2),
      cancelled_ids: [id('subscription', 1)],
    },
    {
      user_id: id('user', 2),
      active_subscriptions: '2',
      kept_id: id('subscription', 4),
      cancelled_ids: [id('subscription', 5)],
    },
    {
      user_id: id('user', 3),
      active_subscriptions: '2',
      kept_id: id('subscription', 7),
      cancelled_ids: [id('subscription', 6)],
    },
  ]);
});

test('erratum 5: the active subscription may be swapped in one transaction, in either order; never two at its end', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await db.pool.query(subscribe(1, 1, { status: 'active' }));
  await db.pool.query(subscribe(2, 1, { status: 'expired' }));
  await derive(db.pool, 'user_subscriptions');
  const swap = (first: string, second: string) =>
    db.pool.query(`BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE user_subscriptions SET status = 'active' WHERE id = '${first}';
      ${second && `UPDATE user_subscriptions SET status = 'expired' WHERE id = '${second}';`} COMMIT`);
  await swap(id('subscription', 2), id('subscription', 1));
  expect(await sqlStateOf(swap(id('subscription', 1), ''))).toBe('23P01');
});

test('erratum 6: subscription ids are derived, and a user without a subscription has one of the same id', async () => {
  await using db = await database();
  await addUsers(db.pool, 1, 2);
  await db.pool.query(subscribe(1, 1, { status: 'active' }));
  const derived = await rows(
    db.pool,
    'SELECT id, status, current_period_start, current_period_end FROM lockstep_forward.user_subscriptions ORDER BY user_id',
  );
  const joined = new Date('2026-01-31T12:00:00Z');
  const monthLater = new Date('2026-02-28T12:00:00Z');
  expect(derived).toEqual([
    { id: id('subscription', 1), status: 'active', current_period_start: joined, current_period_end: monthLater },
    { id: id('user', 2), status: 'active', current_period_start: joined, current_period_end: monthLater },
  ]);
});

test('a month is the same month for readers in every time zone', async () => {
  await using db = await database();
  const client = await db.client();
  await addUsers(db.pool, 1);
  await db.pool.query("UPDATE users SET created_at = '2026-02-28 23:30:00+00'");
  const ends: unknown[] = [];
  for (const zone of ['UTC', 'Pacific/Auckland', 'America/Los_Angeles']) {
    await client.query(`SET TimeZone = '${zone}'`);
    ends.push(
      await value(
        client,
        'SELECT extract(epoch FROM current_period_end)::text FROM lockstep_forward.user_subscriptions',
      ),
    );
  }
  expect(new Set(ends).size).toBe(1);
});

test('erratum 7: an unknown plan is refused for its own user, with the name of the plan', async () => {
  await using db = await database();
  await addUsers(db.pool, 1, 2);
  await db.pool.query("UPDATE users SET subscription_plan = 'gold' WHERE id = $1", [id('user', 1)]);
  const refused = await derive(db.pool, 'user_subscriptions', `user_id = '${id('user', 1)}'`).catch((error) => error);
  expect(refused).toMatchObject({
    code: '23503',
    detail: 'Key (plan_id)=(gold) is not present in table "subscription_plans".',
  });
  expect(await derive(db.pool, 'user_subscriptions', `user_id = '${id('user', 2)}'`)).toBe(1);
});

test('errata 10 and 11: a generated video has one media file of its own id, dated although it is not completed', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await db.pool.query(
    `INSERT INTO generated_videos (id, project_id, status, generation_service, file_url, created_at, completed_at) VALUES
      ('${id('video', 1)}', '${id('project', 1)}', 'completed', 'luma', 'https://cdn.example/1.mp4', '2026-03-01T00:00:00Z', '2026-03-02T00:00:00Z'),
      ('${id('video', 2)}', '${id('project', 1)}', 'processing', 'luma', 'https://cdn.example/2.mp4', '2026-03-01T00:00:00Z', NULL),
      ('${id('video', 3)}', '${id('project', 1)}', 'failed', 'luma', NULL, '2026-03-01T00:00:00Z', NULL)`,
  );
  expect(await derive(db.pool, 'media_files')).toBe(2);
  expect(await derive(db.pool, 'generation_jobs')).toBe(3);
  expect(
    await rows(db.pool, `SELECT id, file_key, uploaded_at, processing_status FROM media_files ORDER BY id`),
  ).toEqual([
    {
      id: id('video', 1),
      file_key: `generated/videos/${id('video', 1)}`,
      uploaded_at: new Date('2026-03-02'),
      processing_status: 'completed',
    },
    {
      id: id('video', 2),
      file_key: `generated/videos/${id('video', 2)}`,
      uploaded_at: new Date('2026-03-01'),
      processing_status: 'processing',
    },
  ]);
  expect(await rows(db.pool, 'SELECT output_file_id FROM generation_jobs ORDER BY id')).toEqual([
    { output_file_id: id('video', 1) },
    { output_file_id: id('video', 2) },
    { output_file_id: null },
  ]);
});

test('erratum 12: NULL name, type and size have a substitute', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  const urls = [
    'https://cdn.example/a/b.jpg',
    'https://cdn.example/a/b.jpg?w=1/2#c/d',
    'https://cdn.example/a/#x',
    'plain',
    '/?q',
    '',
  ];
  for (const [n, file_url] of urls.entries()) {
    await addPhoto(db.pool, n, 1, { original_filename: null, mime_type: null, file_size_bytes: null, file_url });
  }
  const derived = await rows(
    db.pool,
    'SELECT original_filename AS name, mime_type AS type, file_size_bytes AS size FROM lockstep_forward.media_files ORDER BY id',
  );
  expect(derived.map(({ name }) => name)).toEqual(['b.jpg', 'b.jpg', 'a', 'plain', null, null]);
  expect(new Set(derived.map(({ type, size }) => `${type} ${size}`))).toEqual(new Set(['application/octet-stream 0']));
});

test('erratum 12: a name that is too long is refused, never cut; spaces beyond the end are dropped as the column drops them', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await addPhoto(db.pool, 1, 1, { original_filename: 'é'.repeat(255) });
  await addPhoto(db.pool, 2, 1, { original_filename: 'é'.repeat(256) });
  await addPhoto(db.pool, 3, 1, { original_filename: `short${' '.repeat(300)}` });
  await addPhoto(db.pool, 4, 1, { mime_type: `image/${'x'.repeat(95)}` });
  const derivePhoto = (n: number) => derive(db.pool, 'media_files', `id = '${id('photo', n)}'`);
  expect(await derivePhoto(1)).toBe(1);
  expect(await sqlStateOf(derivePhoto(2))).toBe('22001');
  expect(await derivePhoto(3)).toBe(1);
  expect(await sqlStateOf(derivePhoto(4))).toBe('22001');
  expect(
    await rows(
      db.pool,
      `SELECT id FROM media_files t JOIN lockstep_forward.media_files v USING (id) WHERE t.original_filename <> v.original_filename`,
    ),
  ).toEqual([]);
});

test('erratum 13: ties and NULLs get numbers of their own, in order; a project without them keeps its numbers', async () => {
  await using db = await database();
  await addUsers(db.pool, 1, 2, 3, 4);
  const orders: Record<number, (number | null)[]> = {
    1: [7, -2, 0, 40],
    2: [1, 1, 1, 3, 9],
    3: [null, 5, null, 5],
    4: [null, null],
  };
  let n = 0;
  for (const [project, list] of Object.entries(orders))
    for (const upload_order of list) await addPhoto(db.pool, n++, Number(project), { upload_order });
  await derive(db.pool, 'media_files');
  await derive(db.pool, 'project_media');
  const placed = await rows<{ project: string; places: string }>(
    db.pool,
    `SELECT right(project_id::text, 1) AS project, string_agg(right(id::text, 2)::int || ':' || display_order, ' ' ORDER BY id) AS places
     FROM project_media GROUP BY 1 ORDER BY 1`,
  );
  expect(placed).toEqual([
    { project: '1', places: '0:7 1:-2 2:0 3:40' },
    { project: '2', places: '4:1 5:2 6:3 7:4 8:9' },
    { project: '3', places: '9:7 10:5 11:8 12:6' },
    { project: '4', places: '13:0 14:1' },
  ]);
});

test('erratum 13: two photos may swap places in one transaction', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await addPhoto(db.pool, 1, 1);
  await addPhoto(db.pool, 2, 1);
  await derive(db.pool, 'media_files');
  await derive(db.pool, 'project_media');
  const half =
    'BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE project_media SET display_order = 2 WHERE display_order = 1; COMMIT';
  expect(await sqlStateOf(db.pool.query(half))).toBe('23505');
  await db.pool.query(`BEGIN; SET CONSTRAINTS ALL DEFERRED;
    UPDATE project_media SET display_order = 2 WHERE id = '${id('photo', 1)}';
    UPDATE project_media SET display_order = 1 WHERE id = '${id('photo', 2)}'; COMMIT`);
  expect(await value(db.pool, 'SELECT string_agg(display_order::text, $1 ORDER BY id) FROM project_media', [' '])).toBe(
    '2 1',
  );
});

test('erratum 14: orphans of every kind are left out and listed with the reason', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await writeOrphans(
    await db.client(),
    `INSERT INTO video_projects (id, user_id) VALUES ('${id('project', 8)}', NULL), ('${id('project', 9)}', '${id('user', 9)}');
     INSERT INTO subscriptions (id, user_id) VALUES ('${id('subscription', 1)}', NULL), ('${id('subscription', 2)}', '${id('user', 9)}');
     INSERT INTO media_items (id, user_id, file_url) VALUES ('${id('item', 1)}', NULL, 'u'), ('${id('item', 2)}', '${id('user', 9)}', 'u');
     INSERT INTO photos (id, project_id, file_url) SELECT ('30000000-0000-0000-0000-00000000000' || n)::uuid, p::uuid, 'u'
       FROM (VALUES (1, NULL), (2, '${id('project', 7)}'), (3, '${id('project', 8)}'), (4, '${id('project', 9)}')) AS x (n, p);
     INSERT INTO generated_videos (id, project_id, file_url) VALUES ('${id('video', 1)}', '${id('project', 8)}', 'u')`,
  );
  expect(
    await rows(db.pool, 'SELECT source, right(key, 1) AS n, reason FROM lockstep_forward.orphans ORDER BY 1, 2'),
  ).toEqual([
    { source: 'generated_videos', n: '1', reason: `user_id of project ${id('project', 8)} is NULL` },
    { source: 'media_items', n: '1', reason: 'user_id is NULL' },
    { source: 'media_items', n: '2', reason: `user ${id('user', 9)} does not exist` },
    { source: 'photos', n: '1', reason: 'project_id is NULL' },
    { source: 'photos', n: '2', reason: `project ${id('project', 7)} does not exist` },
    { source: 'photos', n: '3', reason: `user_id of project ${id('project', 8)} is NULL` },
    { source: 'photos', n: '4', reason: `user ${id('user', 9)} of project ${id('project', 9)} does not exist` },
    { source: 'subscriptions', n: '1', reason: 'user_id is NULL' },
    { source: 'subscriptions', n: '2', reason: `user ${id('user', 9)} does not exist` },
  ]);
  for (const view of ['media_files', 'project_media', 'generation_jobs'])
    expect(await rows(db.pool, `SELECT FROM lockstep_forward.${view}`)).toEqual([]);
  expect(await value(db.pool, 'SELECT count(*)::int FROM lockstep_forward.user_subscriptions')).toBe(1);
});

test('erratum 28: a status that the new schema does not know is refused for its own row', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await db.pool.query("ALTER TYPE generation_status ADD VALUE 'paused'");
  const statuses = ['queued', 'archived', 'paused', 'cancelled'];
  for (const [n, status] of statuses.entries()) {
    await db.pool.query(
      "INSERT INTO generated_videos (id, project_id, status, generation_service) VALUES ($1, $2, $3, 'luma')",
      [id('video', n), id('project', 1), status],
    );
  }
  const outcomes = [];
  for (const n of statuses.keys())
    outcomes.push(await sqlStateOf(derive(db.pool, 'generation_jobs', `id = '${id('video', n)}'`)));
  expect(outcomes).toEqual([undefined, '23514', '23514', undefined]);
});

test('erratum 29: failed_at is the time of the last update of a failed video, and of no other', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  await db.pool.query(
    `INSERT INTO generated_videos (id, project_id, status, updated_at) VALUES
      ('${id('video', 1)}', '${id('project', 1)}', 'failed', '2026-03-01T00:00:00Z'), ('${id('video', 2)}', '${id('project', 1)}', 'queued', '2026-03-01T00:00:00Z')`,
  );
  expect(await rows(db.pool, 'SELECT failed_at FROM lockstep_forward.generation_jobs ORDER BY id')).toEqual([
    { failed_at: new Date('2026-03-01') },
    { failed_at: null },
  ]);
});

test('a media item is of the kind that its MIME type says', async () => {
  await using db = await database();
  await addUsers(db.pool, 1);
  const types = ['image/png', 'VIDEO/MP4', 'audio/mpeg', 'application/pdf', 'imagery', null];
  for (const [n, mime_type] of types.entries()) {
    await db.pool.query("INSERT INTO media_items (id, user_id, file_url, mime_type) VALUES ($1, $2, 'u', $3)", [
      id('item', n),
      id('user', 1),
      mime_type,
    ]);
  }
  expect(
    (await rows(db.pool, 'SELECT file_type FROM lockstep_forward.media_files ORDER BY id')).map((row) => row.file_type),
  ).toEqual(['image', 'video', 'audio', 'file', 'file', 'file']);
});
