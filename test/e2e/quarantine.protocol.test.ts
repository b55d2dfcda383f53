import { afterAll, beforeAll, expect, test } from 'vitest';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { addPhoto, addUsers, id, rows } from '../sql/world.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 120_000);
afterAll(() => world?.[Symbol.asyncDispose]());

const look = (sql: string, ...values: unknown[]) => rows(world.app, sql, values);
const quarantine = () =>
  look('SELECT target, scope, sqlstate, message FROM lockstep.quarantine ORDER BY target, scope');

/** In one transaction, and so in one message with what is good. */
const together = async (work: () => Promise<unknown>) => {
  await world.app.query('BEGIN');
  await work();
  await world.app.query('COMMIT');
};

test('an unknown plan is quarantined alone, and leaves quarantine when it is mended', async () => {
  const plans = () =>
    look('SELECT user_id, plan_id FROM user_subscriptions WHERE user_id = ANY ($1) ORDER BY 1', [
      id('user', 30),
      id('user', 31),
    ]);
  await together(async () => {
    await addUsers(world.app, 30, 31);
    await world.app.query("UPDATE users SET subscription_plan = 'gold' WHERE id = $1", [id('user', 30)]);
  });
  await world.sync();
  expect(await quarantine()).toEqual([
    {
      target: 'user_subscriptions',
      scope: [id('user', 30)],
      sqlstate: '23503',
      message: expect.stringMatching(/plan_id|gold/),
    },
  ]);
  expect(await plans()).toEqual([{ user_id: id('user', 31), plan_id: 'free' }]);

  await world.app.query("UPDATE users SET subscription_plan = 'pro' WHERE id = $1", [id('user', 30)]);
  await world.sync();
  expect(await quarantine()).toEqual([]);
  expect(await plans()).toEqual([
    { user_id: id('user', 30), plan_id: 'pro' },
    { user_id: id('user', 31), plan_id: 'free' },
  ]);
});

test('a row that becomes bad keeps nothing else from being carried over, and is carried over when it is mended', async () => {
  await addUsers(world.app, 32);
  await addPhoto(world.app, 321, 32);
  await world.sync();
  await world.app.query("UPDATE users SET subscription_plan = 'gold' WHERE id = $1", [id('user', 32)]);
  await world.app.query("UPDATE photos SET mime_type = 'image/gif' WHERE id = $1", [id('photo', 321)]);
  await world.sync();
  expect(await quarantine()).toMatchObject([{ scope: [id('user', 32)] }]);
  expect(await look('SELECT mime_type FROM media_files WHERE id = $1', id('photo', 321))).toEqual([
    { mime_type: 'image/gif' },
  ]);
  await world.app.query("UPDATE users SET subscription_plan = 'free' WHERE id = $1", [id('user', 32)]);
  await world.sync();
  expect(await quarantine()).toEqual([]);
});

test('a name that is too long is quarantined alone, and leaves quarantine when it is mended', async () => {
  const placed = async () =>
    (
      await look('SELECT media_file_id AS id FROM project_media WHERE project_id = $1 ORDER BY 1', id('project', 33))
    ).map((row) => row.id);
  const files = async () =>
    (await look('SELECT id FROM media_files WHERE user_id = $1 ORDER BY 1', id('user', 33))).map((row) => row.id);
  await together(async () => {
    await addUsers(world.app, 33);
    await addPhoto(world.app, 331, 33);
    await addPhoto(world.app, 332, 33, { original_filename: 'n'.repeat(300) });
    await addPhoto(world.app, 333, 33);
  });
  await world.sync();
  const others = [id('photo', 331), id('photo', 333)];
  // The project knows that one of its photos is not there; its other photos have their places.
  expect(await quarantine()).toMatchObject([
    { target: 'media_files', scope: [id('photo', 332)], sqlstate: '22001' },
    { target: 'project_media', scope: [id('project', 33)] },
  ]);
  expect([await files(), await placed()]).toEqual([others, others]);

  await world.app.query("UPDATE photos SET original_filename = 'short.jpg' WHERE id = $1", [id('photo', 332)]);
  await world.sync();
  expect(await quarantine()).toEqual([]);
  const all = [331, 332, 333].map((n) => id('photo', n));
  expect([await files(), await placed()]).toEqual([all, all]);
});

test('an unknown status is quarantined alone, and leaves quarantine when it is mended', async () => {
  const jobs = async () => look('SELECT id, status FROM generation_jobs WHERE user_id = $1 ORDER BY 1', id('user', 34));
  await together(async () => {
    await addUsers(world.app, 34);
    await world.app.query(
      `INSERT INTO generated_videos (id, project_id, status, generation_service)
       VALUES ($1, $3, 'archived', 'runway'), ($2, $3, 'queued', 'runway')`,
      [id('video', 341), id('video', 342), id('project', 34)],
    );
  });
  await world.sync();
  expect(await quarantine()).toMatchObject([
    { target: 'generation_jobs', scope: [id('video', 341)], sqlstate: '23514' },
  ]);
  expect(await jobs()).toEqual([{ id: id('video', 342), status: 'queued' }]);

  await world.app.query("UPDATE generated_videos SET status = 'completed' WHERE id = $1", [id('video', 341)]);
  await world.sync();
  expect(await quarantine()).toEqual([]);
  expect(await jobs()).toEqual([
    { id: id('video', 341), status: 'completed' },
    { id: id('video', 342), status: 'queued' },
  ]);
});

test('a quarantined row that is deleted leaves quarantine, and what waited for it can be tried again', async () => {
  await together(async () => {
    await addUsers(world.app, 35);
    await addPhoto(world.app, 351, 35, { mime_type: 'm'.repeat(101) });
  });
  await world.sync();
  expect(await quarantine()).toHaveLength(2);
  await world.app.query('DELETE FROM photos WHERE id = $1', [id('photo', 351)]);
  await world.settle();
  // The event of a delete names the photo only, and no table remembers which project it was in.
  expect(await quarantine()).toMatchObject([{ target: 'project_media', scope: [id('project', 35)] }]);
  const { pool } = world.database;
  await retryQuarantined({ pool, loaded: world.loaded, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  await world.sync();
  expect(await quarantine()).toEqual([]);
});
