import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Phase } from '../../engine/phases/transitions.ts';
import { migration as photomemoryMigration } from '../../sql/migration.ts';
import { migration as libraryMigration } from '../migrations/library/migration.ts';
import { oracleDifferences } from '../oracle/oracle.ts';
import { addPhoto, addUsers, id, value } from '../sql/world.ts';
import { libraryTemplate } from '../support/library.ts';
import { photomemory } from '../support/photomemory.ts';
import { changes, startJourney, type Traveller } from './journey.ts';
import { libraryFolder } from './world.ts';

const library: Traveller = {
  template: libraryTemplate,
  migration: libraryMigration,
  folder: libraryFolder,
  async seed(app) {
    await app.query(`INSERT INTO library.people SELECT n, 'person ' || n FROM generate_series(1, 20) n;
      INSERT INTO library.loans SELECT n, 1 + n % 20, 'book ' || n, NULL FROM generate_series(1, 60) n`);
  },
  write: {
    async forward(app, round) {
      await app.query(`INSERT INTO library.loans VALUES (${100 + round}, 2, 'legacy ${round}', 'n');
        UPDATE library.loans SET person_id = 3, note = 'moved ${round}' WHERE id = ${round};
        UPDATE library.people SET plan = 'plus' WHERE id = ${round}; DELETE FROM library.loans WHERE id = ${50 + round}`);
    },
    async reverse(app, round) {
      await app.query(`INSERT INTO library.borrowings VALUES (${200 + round}, 4, 'normalized ${round}', 'r');
        UPDATE library.borrowings SET person_id = 5, remark = 'back ${round}' WHERE id = ${10 + round};
        UPDATE library.memberships SET plan = 'plus' WHERE person_id = ${10 + round};
        DELETE FROM library.borrowings WHERE id = ${40 + round}`);
    },
  },
};

const photos: Traveller = {
  template: photomemory,
  migration: photomemoryMigration,
  folder: fileURLToPath(new URL('../../sql', import.meta.url)),
  async seed(app) {
    await addUsers(app, 1, 2, 3);
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) await addPhoto(app, n, 1 + (n % 3));
    await app.query(`
      INSERT INTO subscriptions (id, user_id, current_period_end) VALUES ('${id('subscription', 1)}', '${id('user', 1)}', '2026-04-01');
      INSERT INTO media_items (id, user_id, file_url, file_size_bytes) VALUES ('${id('item', 1)}', '${id('user', 2)}', 'https://cdn/m.pdf', 7);
      INSERT INTO generated_videos (id, project_id, status, generation_service, file_url, ai_prompt, file_size_bytes)
        VALUES ('${id('video', 1)}', '${id('project', 1)}', 'completed', 'luma', 'https://cdn/1.mp4', 'the sea', 77);
      UPDATE users u SET total_storage_bytes = coalesce((SELECT sum(file_size_bytes) FROM photos p JOIN video_projects v ON v.id = p.project_id WHERE v.user_id = u.id), 0)
        + coalesce((SELECT sum(file_size_bytes) FROM media_items m WHERE m.user_id = u.id), 0)
        + coalesce((SELECT sum(file_size_bytes) FROM generated_videos g JOIN video_projects v ON v.id = g.project_id WHERE v.user_id = u.id), 0)`);
  },
  write: {
    async forward(app, round) {
      await addPhoto(app, 20 + round, 1, { file_size_bytes: 0 });
      await app.query(`UPDATE photos SET width = ${round} WHERE id = '${id('photo', 1)}';
        UPDATE photos SET project_id = '${id('project', 3)}', file_size_bytes = 0 WHERE id = '${id('photo', 20 + round)}';
        UPDATE users SET subscription_plan = '${round % 2 === 1 ? 'pro' : 'free'}' WHERE id = '${id('user', 3)}'`);
    },
    async reverse(app, round) {
      await app.query(`UPDATE media_files SET original_filename = 'renamed ${round}.jpg' WHERE id = '${id('photo', 2)}';
        UPDATE user_subscriptions SET plan_id = '${round % 2 === 1 ? 'enterprise' : 'pro'}' WHERE user_id = '${id('user', 2)}';
        DELETE FROM media_files WHERE id = '${id('photo', 5 + round)}'`);
    },
  },
};

const pair = (phase: Phase) => changes.map((change) => `${phase} ${change}`);

test('the library goes forward, back, forward, to the end: equal on both sides at every stop, nothing else is allowed there', async () => {
  await using journey = await startJourney(library);
  await journey.write(1);
  await journey.go('cutover');
  await journey.write(1);
  await journey.go('rollback');
  await journey.write(2);
  await journey.go('cutover');
  await journey.write(2);
  await journey.go('completion');
  // It has no backup to restore.
  const walked = [
    ...pair('forward'),
    ...pair('reverse'),
    'complete cutover',
    'complete rollback',
    'complete completion',
  ];
  expect([...journey.seen].sort()).toEqual(walked.sort());
});

test('PhotoMemory goes forward, back, forward, to the end, and from there to legacy: every change is made where it is allowed, and refused where not', {
  timeout: 240_000,
}, async () => {
  await using journey = await startJourney(photos);
  const { app } = journey;
  await journey.write(1);
  expect(await oracleDifferences(app)).toEqual([]);
  await journey.go('cutover');
  await journey.write(1);
  await journey.go('rollback');
  expect(await oracleDifferences(app)).toEqual([]);
  await journey.write(2);
  expect(await oracleDifferences(app)).toEqual([]);
  await journey.go('cutover');
  await journey.write(2);
  await journey.go('completion');
  expect(await value(app, "SELECT to_regclass('photos') IS NULL")).toBe(true);
  await journey.go('restoration');
  await journey.write(3);
  await journey.go('rollback');
  await journey.write(3);
  expect(await oracleDifferences(app)).toEqual([]);
  expect([...journey.seen].sort()).toEqual([...pair('forward'), ...pair('reverse'), ...pair('complete')].sort());
});
