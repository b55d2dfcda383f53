/** Work that is interrupted between two of its transactions, and whose message leads elsewhere when it comes again. */
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { readQuarantineReasons } from '../../engine/quarantine/groups.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { readQuarantineGroups } from '../../engine/status/queries.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { changes, deliver } from '../support/deliver.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const user = '00000000-0000-0000-0000-000000000001';
const project = '10000000-0000-0000-0000-000000000001';
const photo = (n: number) => `20000000-0000-0000-0000-00000000000${n}`;

/** @param name of the second photo's file; one that is too long keeps its place away. */
async function interrupted(name: string, prepareSql: string) {
  const database = await testDatabase({ template: photomemory });
  const { pool } = database;
  await pool.query(prepareSql);
  const loaded = await loadPhotomemory(pool);
  const other = createApplier({ pool, loaded, telemetry: silent });
  const insert = (n: number, file: string) =>
    pool.query(`INSERT INTO photos (id, project_id, original_filename, file_url, upload_order, created_at)
      VALUES ('${photo(n)}', '${project}', ${file}, 'u', 2, now() - interval '${n} days')`);
  await pool.query(`INSERT INTO users (id, email) VALUES ('${user}', 'e');
    INSERT INTO video_projects (id, user_id) VALUES ('${project}', '${user}')`);
  await insert(1, `'a'`);
  await deliver(pool, other, { users: [[user]], photos: [[photo(1), project]] });
  expect(await differences(pool, loaded)).toEqual({});

  // It takes the first one's place, and another source reveals it.
  await insert(2, name);
  let merged = 0;
  let left: Promise<unknown> | undefined;
  const waits = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  const crashing = createApplier({
    pool,
    loaded,
    telemetry: silent,
    async failpoints(point) {
      if (point === 'apply.committed') throw new Error('crash');
      if (point !== 'apply.before-commit' || ++merged > 1) return;
      // It leaves before that can be seen: its own event does not find the project, and waits for the file only.
      await pool.query(`UPDATE photos SET project_id = NULL WHERE id = '${photo(2)}'`);
      left = deliver(pool, other, { photos: [[photo(2), null]] });
      await eventually(async () => (await pool.query(waits)).rowCount, { intervalMs: 2 });
    },
  });
  const message = await changes(pool, { users: [[user]] });
  const deadlineMs = Date.now() + 30_000;
  await expect(crashing.apply([message], { deadlineMs })).rejects.toThrow('crash');
  expect(await left).toEqual({ kind: 'done' });
  // The user has nothing any more that the target lacks.
  expect(await other.apply([message], { deadlineMs })).toEqual([{ kind: 'done' }]);
  return { database, loaded };
}

test.each([
  // With it, the file that goes would take the place along, and so lead to the project.
  [
    'a row that was brought in and has left since',
    `'b'`,
    'ALTER TABLE project_media DROP CONSTRAINT project_media_media_file_id_fkey',
  ],
  ['a row that was withheld and has left since', `repeat('n', 300)`, ''],
])('the scope is in quarantine until it has been merged again: %s', async (_, name, prepareSql) => {
  const { database, loaded } = await interrupted(name, prepareSql);
  await using _database = database;
  const { pool } = database;
  expect(await differences(pool, loaded)).toEqual({});
  const { rows } = await pool.query(`SELECT scope, sqlstate FROM lockstep.quarantine WHERE target = 'project_media'`);
  expect(rows).toEqual([{ scope: [project], sqlstate: '40003' }]);
  // It is told of when nothing has come of it for a while.
  const told = async () =>
    [...(await readQuarantineGroups(pool, 'forward')), ...(await readQuarantineReasons(pool, 'forward'))].filter(
      ({ sqlState }) => sqlState === '40003',
    ).length;
  expect(await told()).toBe(0);
  await pool.query(`UPDATE lockstep.quarantine SET last_failed_at = now() - interval '11 seconds'`);
  expect(await told()).toBe(2);
  await retryQuarantined({ pool, loaded, telemetry: silent, deadlineMs: Date.now() + 20_000 });
  expect((await pool.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);
  expect(await differences(pool, loaded)).toEqual({});
});
