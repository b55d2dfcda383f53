import { expect, test } from 'vitest';
import { extentOfScopes } from '../../engine/merge/predicate.ts';
import { targetNamed } from '../../engine/merge/scopes.ts';
import { type Difference, findDifferences } from '../../engine/validate/compare.ts';
import { migration } from '../../sql/migration.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { churn, churnedProject, type Synchronized, seeded, synchronize } from './support.ts';

const item = 'd0000000-0000-0000-0000-000000000001';

async function createItem({ pool }: TestDatabase): Promise<void> {
  await pool.query(`
    INSERT INTO users (id, email, display_name) VALUES ('a0000000-0000-0000-0000-000000000001', 'a@b', 'a');
    INSERT INTO media_items (id, user_id, original_filename, file_url)
    VALUES ('${item}', 'a0000000-0000-0000-0000-000000000001', 'A.jpg', 'https://cdn/a')`);
}

async function rename({ pool }: TestDatabase, name: string): Promise<void> {
  await pool.query('UPDATE media_items SET original_filename = $2 WHERE id = $1', [item, name]);
}

async function differing({ pool }: TestDatabase, { loaded }: Synchronized): Promise<Difference | undefined> {
  const target = targetNamed(loaded, 'media_files');
  return (await findDifferences(pool, 'forward', target, extentOfScopes(target, [[item]])))[0];
}

test('a row that goes to and fro looks like drift to whoever compares what it should be before and after a barrier', async () => {
  await using database = await testDatabase({ template: photomemory });
  await createItem(database);
  await using sync = await synchronize(database, migration);
  sync.queue.hold();
  await rename(database, 'B.jpg');
  const first = await differing(database, sync);
  sync.queue.release();
  await sync.caughtUp();
  await rename(database, 'A.jpg');
  await sync.caughtUp();
  sync.queue.hold();
  await rename(database, 'B.jpg');
  const second = await differing(database, sync);
  // Expected has stayed the same across a barrier and the target still differs, though nothing is wrong.
  expect(first?.columns).toMatchObject({ original_filename: { expected: 'B.jpg', present: 'A.jpg' } });
  expect(second?.columns).toEqual(first?.columns);
  sync.queue.release();
});

test('a row that goes to and fro is never taken for drift, however often it is looked at', async () => {
  await using database = await testDatabase({ template: photomemory });
  await createItem(database);
  await using sync = await synchronize(database, migration);
  let stop = false;
  let turns = 0;
  const toggling = (async () => {
    // Each value reaches the target, and the next is on its way at once.
    for (; !stop; turns += 1) {
      await rename(database, turns % 2 === 0 ? 'B.jpg' : 'A.jpg');
      if (turns % 3 === 0) await sync.caughtUp();
    }
  })();
  try {
    for (let looks = 0; looks < 12 || turns <= 20; looks += 1) {
      const report = await sync.validate({ targets: ['media_files'], holdMs: 300 });
      expect(report.targets[0]?.drift).toEqual([]);
      expect(report.verdict).not.toBe('differs');
    }
  } finally {
    stop = true;
    await toggling;
  }
  await sync.caughtUp();
  expect(await sync.validate()).toMatchObject({ agrees: true, reasons: [] });
});

test('drift in a row that goes to and fro is no excuse: a merge mends it, or it is found', async () => {
  await using database = await testDatabase({ template: photomemory });
  await createItem(database);
  await using sync = await synchronize(database, migration);
  await database.pool.query(`UPDATE media_files SET folder_path = '/wrong' WHERE id = $1`, [item]);
  const found = await sync.validate();
  expect(found.targets.flatMap(({ drift }) => drift)).toMatchObject([
    { kind: 'different', key: { id: item }, columns: { folder_path: { expected: '/library', present: '/wrong' } } },
  ]);
  await rename(database, 'B.jpg');
  await sync.caughtUp();
  expect(await sync.validate()).toMatchObject({ agrees: true });
});

test('a scope that is written to without a pause is settled all the same', async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  await using traffic = await churn(database);
  const target = targetNamed(sync.loaded, 'project_media');
  const project = extentOfScopes(target, [[churnedProject]]);
  let looks = 0;
  let differing = 0;
  for (let passes = 0; passes < 3; passes += 1) {
    const report = await sync.validate({
      targets: ['project_media'],
      failpoints: async (point) => {
        if (point !== 'validate.compared') return;
        looks += 1;
        if ((await findDifferences(database.pool, 'forward', target, project)).length > 0) differing += 1;
      },
    });
    expect(report).toMatchObject({ agrees: true, reasons: [] });
  }
  expect(traffic.changes()).toBeGreaterThan(10);
  // Were it at rest, this would prove nothing.
  expect({ looks, differing }).toMatchObject({ looks: 3, differing: expect.toSatisfy((count: number) => count > 0) });
});

test('what is in flight for longer than a proof may hold the merges is told as unproved, never as drift', async () => {
  await using database = await testDatabase({ template: photomemory });
  await createItem(database);
  await using sync = await synchronize(database, migration);
  let held = false;
  const report = await sync.validate({
    holdMs: 50,
    deadlineMs: Date.now() + 3_000,
    failpoints: async (point) => {
      // After the barrier with which the validation begins: from now on nothing is delivered.
      if (point !== 'validate.compared' || held) return;
      held = true;
      sync.queue.hold();
      await rename(database, 'B.jpg');
    },
  });
  expect(report).toMatchObject({ agrees: false, verdict: 'unproven' });
  expect(report.targets.flatMap(({ drift }) => drift)).toEqual([]);
  sync.queue.release();
  expect(await sync.validate({ resume: true })).toMatchObject({ run: report.run, agrees: true, invocations: 2 });
});
