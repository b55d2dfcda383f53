import { expect, test } from 'vitest';
import type { Migration } from '../../engine/migration/contract.ts';
import { defaultSqsPrice } from '../../engine/plan/estimate.ts';
import { type PlanOptions, plan } from '../../engine/plan/plan.ts';
import { migration } from '../../sql/migration.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';

const optionsFor = ({ pool }: TestDatabase, of: Migration = migration): PlanOptions => ({
  pool,
  migration: of,
  concurrency: 8,
  price: defaultSqsPrice,
  writeFactor: 5,
  sampleScopes: 500,
  statementTimeoutMs: 60_000,
});

async function seeded(): Promise<TestDatabase> {
  const database = await testDatabase({ template: photomemory });
  const client = await database.client();
  await seedLegacy(client, { users: 60 });
  await client.end();
  return database;
}

/** Every row of every table and what the catalogs hold, in one text each. */
async function everything({ pool }: TestDatabase): Promise<Record<string, string>> {
  const tables = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     -- Those of the whole cluster are written by other tests too.
     WHERE c.relkind = 'r' AND NOT c.relisshared AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname <> 'information_schema'
       -- Statistics are written by the server itself.
       AND c.relname NOT IN ('pg_statistic', 'pg_shdepend')`,
  );
  const found: Record<string, string> = {};
  for (const { name } of tables.rows) {
    const columns = name === 'pg_catalog.pg_class' ? 'relname, relkind, relnatts, relowner, relacl::text' : 't.*';
    const { rows } = await pool.query<{ digest: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(r, ';' ORDER BY r)), '') AS digest FROM (SELECT ROW(${columns})::text AS r FROM ${name} t) x`,
    );
    found[name] = rows[0]?.digest ?? '';
  }
  const lsn = await pool.query('SELECT slot_name FROM pg_replication_slots WHERE database = current_database()');
  return { ...found, slots: JSON.stringify(lsn.rows) };
}

test('nothing is changed: not a row, not a catalog', async () => {
  await using database = await seeded();
  const before = await everything(database);
  expect(Object.keys(before).length).toBeGreaterThan(70);
  const result = await plan(optionsFor(database));
  expect(result.migrated).toBe(true);
  expect(await everything(database)).toEqual(before);
});

test('the server itself refuses a change: a listing that writes is an error', async () => {
  await using database = await seeded();
  await database.pool.query(
    `CREATE FUNCTION sneaky() RETURNS SETOF users LANGUAGE sql AS 'DELETE FROM users RETURNING *'`,
  );
  const writing: Migration = {
    ...migration,
    forward: { ...migration.forward, checks: { listings: { sneaky: 'SELECT * FROM sneaky()' } } },
  };
  await expect(plan(optionsFor(database, writing))).rejects.toMatchObject({ code: '25006' });
  expect((await database.pool.query('SELECT FROM users')).rowCount).toBe(60);
});

test('what your data holds is found: listings, and rows that the targets would refuse', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const user = (n: number, planName = 'free') =>
    `INSERT INTO users (id, email, subscription_plan) VALUES ('00000000-0000-4000-8000-00000000000${n}', 'u${n}@example.org', '${planName}');`;
  await pool.query(`${user(1)} ${user(2, 'gold')}
    INSERT INTO media_items (id, user_id, original_filename, file_url)
      VALUES ('10000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001', repeat('n', 300), 'https://cdn/x');
    INSERT INTO video_projects (id, user_id, title, status) VALUES ('20000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000001', 't', 'draft');
    INSERT INTO generated_videos (id, project_id, status, generation_service)
      VALUES ('30000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'queued', repeat('s', 60))`);
  const { listings, refusals, targets } = await plan(optionsFor(database));
  expect(listings.map(({ title }) => title)).toEqual(Object.keys(migration.forward.checks?.listings ?? {}));
  expect(targets.every(({ rows }) => rows === 0)).toBe(true);
  expect(refusals).toContainEqual({
    target: 'user_subscriptions',
    constraint: 'user_subscriptions_plan_id_fkey',
    what: expect.stringMatching(/"plan_id" refers to no row of public\.subscription_plans/),
    rows: 1,
    examples: [['00000000-0000-4000-8000-000000000002']],
  });
  expect(refusals).toContainEqual(
    expect.objectContaining({
      target: 'media_files',
      what: '"original_filename" is longer than 255 characters',
      rows: 1,
      examples: [['10000000-0000-4000-8000-000000000001']],
    }),
  );
  expect(refusals).toContainEqual(
    expect.objectContaining({ target: 'generation_jobs', what: '"generation_service" is longer than 50 characters' }),
  );
});

test('each kind of constraint is asked, and no more is found than the table itself refuses', async () => {
  await using database = await testDatabase();
  const { pool } = database;
  await pool.query(`
    CREATE TABLE old (id int PRIMARY KEY, a text, b numeric, c bigint, d text, e int, f text);
    CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
    CREATE TABLE new (id int PRIMARY KEY, a varchar(3) NOT NULL, b numeric(4,2), c int CHECK (c <> 13), d text, e int REFERENCES parent,
      f text, EXCLUDE USING btree (f WITH =) WHERE (c > 0) DEFERRABLE);
    CREATE UNIQUE INDEX new_lower_d ON new (lower(d));
    CREATE VIEW derived AS SELECT * FROM old;
    INSERT INTO old VALUES (1, 'abc', 1, 1, 'x', 1, 'f'), (2, 'ab   ', 99.994, 2, 'y', NULL, NULL), (3, NULL, 1, 1, NULL, NULL, NULL),
      (4, 'abcd', 1, 1, NULL, NULL, NULL), (5, 'a', 99.995, 1, NULL, NULL, NULL), (6, 'a', 1, 3000000000, NULL, NULL, NULL),
      (7, 'a', 1, 13, NULL, NULL, NULL), (8, 'a', 1, 1, NULL, 2, NULL), (9, 'a', 1, 1, 'X', NULL, NULL), (10, 'a', 1, 1, NULL, NULL, 'f'),
      (11, 'a', 1, -1, NULL, NULL, 'f')`);
  const relation = (name: string) => ({ schema: 'public', name });
  const simple: Migration = {
    name: 'simple',
    forward: {
      sources: [{ name: 'old', relation: relation('old'), key: ['id'], routing: [] }],
      targets: [
        {
          name: 'new',
          relation: relation('new'),
          view: relation('derived'),
          scope: ['id'],
          writes: 'rows',
          scopesOf: { old: 'SELECT id FROM changed' },
          walk: [{ relation: relation('old'), columns: ['id'] }],
        },
      ],
    },
  };
  const { refusals } = await plan(optionsFor(database, simple));
  const refused = new Set<string>();
  for (let id = 1; id <= 11; id++) {
    await pool
      .query('INSERT INTO new SELECT * FROM derived WHERE id = $1', [id])
      .catch((error: { code: string }) => refused.add(`${id} ${error.code}`));
  }
  expect([...refused].sort()).toEqual([
    '10 23P01',
    '3 23502',
    '4 22001',
    '5 22003',
    '6 22003',
    '7 23514',
    '8 23503',
    '9 23505',
  ]);
  const found = refusals.map(({ rows, examples, constraint }) => [constraint, rows, examples[0]?.[0]]);
  expect(found.sort()).toEqual([
    ['a NOT NULL', 1, '3'],
    ['a character varying(3)', 1, '4'],
    ['b numeric(4,2)', 1, '5'],
    ['c integer', 1, '6'],
    ['new_c_check', 1, '7'],
    ['new_e_fkey', 1, '8'],
    ['new_f_excl', 1, '1'],
    ['new_lower_d', 1, '1'],
  ]);
});

test('the estimates follow from what was measured, and say how', async () => {
  await using database = await seeded();
  const result = await plan(optionsFor(database));
  const photos = result.sources.find(({ name }) => name === 'photos');
  const counted = await database.pool.query('SELECT FROM photos');
  expect(photos).toMatchObject({ rows: counted.rowCount, counted: true });
  const media = result.backfill?.targets.find(({ target }) => target === 'media_files');
  const expected = await database.pool.query('SELECT FROM lockstep_forward.media_files');
  expect(media?.rows).toBeGreaterThan(0.8 * (expected.rowCount ?? 0));
  expect(media?.rows).toBeLessThan(1.2 * (expected.rowCount ?? 0));
  expect(result.backfill?.seconds).toBeGreaterThan(0);
  expect(result.sqs.arithmetic.join('\n')).toMatch(/send, receive, delete.*in bulk: .*aws\.amazon\.com\/sqs\/pricing/s);
  expect(result.connections.needed).toBe(8 * 2 + 3 + 4);
  expect(result.locks.fits).toBe(true);
});

test('a question that takes too long is left out, and said', async () => {
  await using database = await seeded();
  const slow: Migration = {
    ...migration,
    forward: { ...migration.forward, checks: { listings: { slow: 'SELECT pg_sleep(240)' } } },
  };
  const result = await plan({ ...optionsFor(database, slow), statementTimeoutMs: 10_000 });
  expect(result.listings).toEqual([{ title: 'slow', rows: null, examples: [] }]);
});

test('before `migrate` it says what can be said', async () => {
  await using database = await testDatabase();
  await database.pool.query('CREATE TABLE old (id int PRIMARY KEY); INSERT INTO old VALUES (1)');
  const relation = (name: string) => ({ schema: 'public', name });
  const { targets } = migration.forward;
  const sources = [{ name: 'old', relation: relation('old'), key: ['id'], routing: [] }];
  const result = await plan(optionsFor(database, { name: 'early', forward: { sources, targets } }));
  expect(result).toMatchObject({ migrated: false, backfill: null, sources: [{ rows: 1 }], refusals: [] });
  const absent = { name: 'absent', forward: { sources: [{ ...sources[0], relation: relation('nowhere') }], targets } };
  await expect(plan(optionsFor(database, absent as Migration))).rejects.toMatchObject({ code: 'LS_SOURCE_MISSING' });
});

test('a source that cannot be followed stands in the way, with its fix', async () => {
  await using database = await testDatabase({ template: photomemory });
  await database.pool.query('ALTER TABLE photos REPLICA IDENTITY FULL');
  const { preflight } = await plan(optionsFor(database));
  expect(preflight).toContainEqual({
    level: 'blocker',
    about: 'source photos',
    found: expect.stringMatching(/replica identity of table public\.photos is FULL/),
    fix: expect.stringMatching(/REPLICA IDENTITY DEFAULT/),
  });
  expect(preflight).toContainEqual(
    expect.objectContaining({ about: 'publication lockstep_forward', level: 'blocker' }),
  );
});
