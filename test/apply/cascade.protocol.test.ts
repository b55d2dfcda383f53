/** The application deletes a parent, and the server the rows of a target that refer to it, while they are merged. */
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const before = '00000000-0000-0000-0000-000000000001';
const after = '00000000-0000-0000-0000-000000000002';
const item = '40000000-0000-0000-0000-000000000001';

test('a row that goes with the parent it had, while it is merged for the one it has, is there afterwards', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  await pool.query(`INSERT INTO users (id, email) VALUES ('${before}', 'e'), ('${after}', 'f');
    INSERT INTO media_items (id, user_id, original_filename, file_url) VALUES ('${item}', '${before}', 'a.mp3', 'https://cdn/a')`);
  const applier = createApplier({ pool, loaded, telemetry: silent });
  expect(await deliver(pool, applier, { users: [[before], [after]], media_items: [[item]] })).toEqual({ kind: 'done' });

  await pool.query(`UPDATE media_items SET user_id = '${after}'`);
  const app = await database.client();
  await app.query('BEGIN');
  await app.query('DELETE FROM users WHERE id = $1', [before]);
  const merging = deliver(pool, applier, { media_items: [[item]] });
  const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`;
  await eventually(async () => (await pool.query(waits)).rowCount, { intervalMs: 2 });
  await app.query('COMMIT');
  expect(await merging).toEqual({ kind: 'done' });
  // The event of the deleted user finds nothing of his.
  expect(await deliver(pool, applier, { users: [[before]] })).toEqual({ kind: 'done' });
  expect(await differences(pool, loaded)).toEqual({});
  expect((await pool.query('SELECT user_id::text AS user FROM media_files')).rows).toEqual([{ user: after }]);
  expect((await pool.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);
});
