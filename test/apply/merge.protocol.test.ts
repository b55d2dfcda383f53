import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { listQuarantine } from '../../engine/quarantine/quarantine.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const user = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;
const project = (n: number) => `10000000-0000-0000-0000-00000000000${n}`;
const photo = (n: number) => `20000000-0000-0000-0000-00000000000${n}`;
const subscription = (n: number) => `30000000-0000-0000-0000-00000000000${n}`;

async function world() {
  const database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  await pool.query(
    `INSERT INTO users (id, email, display_name) SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n || '@example.org', 'u' || n FROM generate_series(1, 3) n;
     INSERT INTO video_projects (id, user_id, title, status) SELECT ('10000000-0000-0000-0000-00000000000' || n)::uuid, ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'p', 'draft' FROM generate_series(1, 3) n;
     INSERT INTO photos (id, project_id, original_filename, file_url, upload_order) SELECT ('20000000-0000-0000-0000-00000000000' || n)::uuid, ('10000000-0000-0000-0000-00000000000' || (n % 2 + 1))::uuid, n || '.jpg', 'https://cdn/' || n, n FROM generate_series(1, 6) n`,
  );
  return { ...database, pool, loaded, applier, [Symbol.asyncDispose]: database[Symbol.asyncDispose].bind(database) };
}

const allPhotos = [1, 2, 3, 4, 5, 6].map((n) => [photo(n), project((n % 2) + 1)]);

async function orders(pool: import('pg').Pool) {
  const { rows } = await pool.query<{ photo: string; project: string; position: number }>(
    'SELECT right(id::text, 1) AS photo, right(project_id::text, 1) AS project, display_order AS position FROM project_media ORDER BY 2, 3',
  );
  return rows.map((row) => `${row.project}:${row.position}=${row.photo}`).join(' ');
}

test('a photo brings its media file with it, and its siblings bring theirs', async () => {
  await using w = await world();
  // Photo 1 alone is named; its project's other photos are derived with it and need media files that nobody has named.
  expect(await deliver(w.pool, w.applier, { photos: [[photo(1), project(2)]] })).toEqual({ kind: 'done' });
  expect(await orders(w.pool)).toBe('2:1=1 2:3=3 2:5=5');
  expect((await w.pool.query('SELECT count(*)::int AS n FROM media_files')).rows[0].n).toBe(3);
  expect(await listQuarantine(w.pool, 'forward', 10)).toEqual([]);
  expect((await w.pool.query('SELECT count(*)::int AS n FROM lockstep.in_flight')).rows[0].n).toBe(0);
});

test('two photos swap places in one transaction', async () => {
  await using w = await world();
  await deliver(w.pool, w.applier, { photos: allPhotos });
  await w.pool.query(
    `UPDATE photos SET upload_order = CASE id WHEN '${photo(1)}' THEN 3 ELSE 1 END WHERE id IN ('${photo(1)}', '${photo(3)}')`,
  );
  await deliver(w.pool, w.applier, { photos: [[photo(1), project(2)]] });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:1=3 2:3=1 2:5=5');
});

test('a photo that moved is taken from the project that the target still has it in', async () => {
  await using w = await world();
  await deliver(w.pool, w.applier, { photos: allPhotos });
  await w.pool.query(`UPDATE photos SET project_id = '${project(3)}' WHERE id = '${photo(1)}'`);
  await deliver(w.pool, w.applier, { photos: [[photo(1), null]] });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:3=3 2:5=5 3:1=1');
});

test('a merge of a scope that a row has entered, without the scope it has left, merges both', async () => {
  await using w = await world();
  await deliver(w.pool, w.applier, { photos: allPhotos });
  await w.pool.query(`UPDATE photos SET project_id = '${project(3)}' WHERE id = '${photo(1)}'`);
  // Named by another source: only project 3 is asked for, and the target still has the photo in project 2.
  await deliver(w.pool, w.applier, { video_projects: [[project(3)]] });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:3=3 2:5=5 3:1=1');
});

test('what is gone from legacy is deleted', async () => {
  await using w = await world();
  await deliver(w.pool, w.applier, { photos: allPhotos });
  await w.pool.query(`DELETE FROM photos WHERE id = '${photo(1)}'`);
  await deliver(w.pool, w.applier, { photos: [[photo(1), null]] });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:3=3 2:5=5');
  expect((await w.pool.query('SELECT count(*)::int AS n FROM media_files')).rows[0].n).toBe(5);
});

test('a merge that finds everything as expected writes nothing', async () => {
  await using w = await world();
  await deliver(w.pool, w.applier, { photos: allPhotos });
  const versions = async () =>
    (
      await w.pool.query(
        'SELECT id, xmin::text FROM media_files UNION ALL SELECT id, xmin::text FROM project_media ORDER BY 1, 2',
      )
    ).rows;
  const before = await versions();
  await deliver(w.pool, w.applier, { photos: allPhotos, users: [[user(1)], [user(2)]] });
  expect(await versions()).toEqual(before);
});

test('two users swap a unique value in one transaction, and are named by different messages', async () => {
  await using w = await world();
  await w.pool.query(
    `INSERT INTO subscriptions (id, user_id, status, stripe_subscription_id) SELECT ('30000000-0000-0000-0000-00000000000' || n)::uuid, ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'active', 's' || n FROM generate_series(1, 2) n`,
  );
  await deliver(w.pool, w.applier, { users: [[user(1)], [user(2)]] });
  await w.pool.query(
    `UPDATE subscriptions SET stripe_subscription_id = CASE stripe_subscription_id WHEN 's1' THEN 's2' ELSE 's1' END`,
  );
  await deliver(w.pool, w.applier, { subscriptions: [[subscription(1), user(1)]] });
  expect(
    (await w.pool.query('SELECT stripe_subscription_id AS s FROM user_subscriptions ORDER BY user_id LIMIT 2')).rows,
  ).toEqual([{ s: 's2' }, { s: 's1' }]);
  expect(await listQuarantine(w.pool, 'forward', 10)).toEqual([]);
});

test('data that the target refuses is quarantined alone, and leaves quarantine when it is mended', async () => {
  await using w = await world();
  await w.pool.query(
    `UPDATE photos SET original_filename = repeat('x', 300) WHERE id = '${photo(3)}'; UPDATE users SET subscription_plan = 'gold' WHERE id = '${user(2)}'`,
  );
  expect(await deliver(w.pool, w.applier, { photos: allPhotos, users: [[user(1)], [user(2)], [user(3)]] })).toEqual({
    kind: 'done',
  });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:1=1 2:5=5');
  expect(
    (await w.pool.query('SELECT user_id::text AS id FROM user_subscriptions ORDER BY 1')).rows.map((row) => row.id),
  ).toEqual([user(1), user(3)]);
  const quarantine = await listQuarantine(w.pool, 'forward', 10);
  expect(quarantine.map(({ target, scope, sqlState }) => [target, scope, sqlState])).toEqual([
    ['media_files', [photo(3)], '22001'],
    ['project_media', [project(2)], '23503'],
    ['user_subscriptions', [user(2)], '23503'],
  ]);
  expect(quarantine[2]?.detail).toContain('(gold)');

  await w.pool.query(
    `UPDATE photos SET original_filename = 'short' WHERE id = '${photo(3)}'; INSERT INTO subscription_plans (id, name, price_cents, billing_interval) VALUES ('gold', 'Gold', 1, 'month')`,
  );
  expect(
    await retryQuarantined({ pool: w.pool, loaded: w.loaded, telemetry: silent, deadlineMs: Date.now() + 10_000 }),
  ).toEqual({ tried: 3, remaining: 0, outcome: 'done' });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:1=1 2:3=3 2:5=5');
});

test('a message that is not in the ledger is a duplicate: nothing is written', async () => {
  await using w = await world();
  const message = {
    version: 1,
    kind: 'changes',
    id: '7f000000-0000-4000-8000-000000000000',
    direction: 'forward',
    shard: 0,
    rows: { photos: allPhotos },
  } as const;
  expect(await w.applier.apply([message], { deadlineMs: Date.now() + 1000 })).toEqual([{ kind: 'duplicate' }]);
  expect(await orders(w.pool)).toBe('');
});

test('the fence: once the other direction is the truth, a message writes nothing', async () => {
  await using w = await world();
  await w.pool.query("UPDATE lockstep.phase SET phase = 'reverse'");
  expect(await deliver(w.pool, w.applier, { photos: allPhotos })).toEqual({ kind: 'fenced' });
  expect(await orders(w.pool)).toBe('');
});

test('a message that this migration cannot read is told apart from the ones beside it', async () => {
  await using w = await world();
  const { changes } = await import('../support/deliver.ts');
  const messages = [
    await changes(w.pool, { photos: [['not a uuid', null]] }),
    await changes(w.pool, { photos: allPhotos }),
    await changes(w.pool, { nothing: [['1']] }),
    await changes(w.pool, { photos: [[photo(1)]] }),
  ];
  const outcomes = await w.applier.apply(messages, { deadlineMs: Date.now() + 10_000 });
  expect(outcomes.map(({ kind }) => kind)).toEqual(['unreadable', 'done', 'unreadable', 'unreadable']);
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:1=1 2:3=3 2:5=5');
});

test('a deleted photo gives its siblings their numbers back: the scope that it has left is found in the target', async () => {
  await using w = await world();
  await w.pool.query(`UPDATE photos SET upload_order = 1 WHERE project_id = '${project(2)}'`);
  await deliver(w.pool, w.applier, { photos: allPhotos });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:1=1 2:2=3 2:3=5');
  await w.pool.query(`DELETE FROM photos WHERE id = '${photo(1)}'`);
  await deliver(w.pool, w.applier, { photos: [[photo(1), null]] });
  expect(await orders(w.pool)).toBe('1:2=2 1:4=4 1:6=6 2:1=3 2:2=5');
});
