/** Rows that have moved to another scope when a merge of their neighbours comes first. */
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../migrations/library/migration.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { libraryTemplate } from '../support/library.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

/** So many people, each with a loan, in step. */
async function inStep(database: TestDatabase, people: number) {
  const { pool } = database;
  await pool.query(`
    INSERT INTO library.people SELECT n, 'p' FROM generate_series(1, ${people}) n;
    INSERT INTO library.loans SELECT n, n, 'book', NULL FROM generate_series(1, ${people}) n;
    INSERT INTO library.borrowings SELECT n, n, 'book', NULL, 5 FROM generate_series(1, ${people}) n`);
  const loaded = await loadDirection(pool, 'forward', migration.forward);
  const differing = async () => (await differences(pool, loaded)).borrowings ?? [];
  expect(await differing()).toEqual([]);
  return { pool, loaded, differing };
}

test('a row that has moved is moved in place, though a neighbour’s message comes before its own: nothing of it is lost', async () => {
  await using database = await testDatabase({ template: libraryTemplate });
  const { pool, loaded, differing } = await inStep(database, 3);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  await pool.query(`
    UPDATE library.loans SET person_id = 1, title = 'neighbour' WHERE id = 2;
    UPDATE library.loans SET person_id = 3 WHERE id = 1`);
  await deliver(pool, applier, { loans: [['2', '1']] });
  // The view does not have `stars`; a row that is deleted and inserted again would have none.
  const stars = 'SELECT id::int, person_id::int AS person, stars FROM library.borrowings ORDER BY id';
  expect((await pool.query(stars)).rows[0]).toEqual({ id: 1, person: 1, stars: 5 });
  await deliver(pool, applier, { loans: [['1', '3']] });
  expect((await pool.query(stars)).rows).toEqual([
    { id: 1, person: 3, stars: 5 },
    { id: 2, person: 1, stars: 5 },
    { id: 3, person: 3, stars: 5 },
  ]);
  expect(await differing()).toEqual([]);

  await pool.query('DELETE FROM library.loans WHERE id = 1');
  await deliver(pool, applier, { loans: [['3', '3']] });
  expect(await differing()).toEqual([]);
  expect((await pool.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);
});

test('a row that has moved and is in the way of what has taken its place is not left there', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  const id = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${id(1)}', 'a');
    INSERT INTO video_projects (id, user_id, title) VALUES ('${id(1)}', '${id(1)}', 'one'), ('${id(2)}', '${id(1)}', 'two');
    INSERT INTO photos (id, project_id, file_url, upload_order) SELECT ('00000000-0000-0000-0000-00000000001' || n)::uuid, '${id(1)}', 'u', n FROM generate_series(1, 3) n`);
  const photo = (n: number) => `00000000-0000-0000-0000-00000000001${n}`;
  await deliver(pool, applier, { users: [[id(1)]], photos: [1, 2, 3].map((n) => [photo(n), id(1)]) });
  expect(await differences(pool, loaded)).toEqual({});
  // The second photo takes the first one's place before the first one's message comes.
  await pool.query(`
    UPDATE photos SET project_id = '${id(2)}' WHERE id = '${photo(1)}';
    UPDATE photos SET upload_order = 1 WHERE id = '${photo(2)}'`);
  await deliver(pool, applier, { photos: [[photo(2), id(1)]] });
  const places = 'SELECT right(id::text, 2) AS photo, display_order::int AS place FROM project_media ORDER BY id';
  expect((await pool.query(places)).rows).toEqual([
    { photo: '12', place: 1 },
    { photo: '13', place: 3 },
  ]);
  await deliver(pool, applier, { photos: [[photo(1), id(2)]] });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);
});

test('scopes that hang together are merged together, and take no more locks than the server has room for', async () => {
  await using database = await testDatabase({ template: libraryTemplate });
  const { pool, loaded, differing } = await inStep(database, 60);
  const limits = { rowsPerTransaction: 4, scopesPerTransaction: 8 };
  const held: number[] = [];
  const failpoints = async (point: string) => {
    if (point !== 'apply.scopes-locked') return;
    const locks = `SELECT count(*)::int AS held FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
    held.push((await pool.query(locks)).rows[0].held);
  };
  const applier = createApplier({ pool, loaded, telemetry: silent, limits, failpoints });
  await pool.query('UPDATE library.loans SET person_id = 60');
  const rows = Array.from({ length: 60 }, (_, n) => [String(n + 1), '60']);
  expect(await deliver(pool, applier, { loans: rows })).toMatchObject({ kind: 'done' });
  expect(await differing()).toEqual([]);
  expect((await pool.query('SELECT DISTINCT stars FROM library.borrowings')).rows).toEqual([{ stars: 5 }]);
  // Rows and scopes of a slice, the fence, and the targets.
  expect(Math.max(...held)).toBeLessThanOrEqual(limits.rowsPerTransaction + limits.scopesPerTransaction + 4);
  expect(held.length).toBeGreaterThan(1);
});
