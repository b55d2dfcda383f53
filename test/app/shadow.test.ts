import pg from 'pg';
import { expect, test } from 'vitest';
import type { AppEvent } from '../../app/events.ts';
import { shadowSettingKey } from '../../app/flags/state.ts';
import { openSchemas } from '../../app/index.ts';
import { openShadowPool } from '../../app/manager/shadow-pool.ts';
import { addPhoto, id, rows } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';
import { type AppWorld, appWorld } from './world.ts';

const photo = id('photo', 1);
const media = ({ schemas }: AppWorld) => schemas.forUser(id('user', 1)).media;
const counted = ({ pool }: AppWorld) =>
  rows(
    pool,
    'SELECT method, agreed::int, differed::int, unsettled::int, dropped::int FROM lockstep_app.shadow_reads ORDER BY 1',
  );
const none = { agreed: 0, differed: 0, unsettled: 0, dropped: 0 };

async function sampled(options = {}) {
  const world = await appWorld({ shadow: { settleMs: 200, ...options } });
  await addPhoto(world.pool, 1, 1, { original_filename: 'legacy.jpg' });
  await world.apply();
  await world.setting(shadowSettingKey, { percentage: 100 });
  return world;
}

test('both sides are asked, and agree', async () => {
  await using world = await sampled();
  await media(world).getMediaFile(photo);
  await media(world).getProjectMedia(id('project', 1));
  await world.schemas.shadowsDone();
  expect(await counted(world)).toEqual([
    { method: 'getMediaFile', ...none, agreed: 1 },
    { method: 'getProjectMedia', ...none, agreed: 1 },
  ]);
});

test('a difference that stays is recorded with both answers, and the user sees the truth', async () => {
  await using world = await sampled({ settleMs: 20_000 });
  await world.pool.query("UPDATE media_files SET original_filename = 'drifted.jpg'");
  const listening = { stop: false };
  // What a listener does with a barrier: it confirms it.
  const listener = (async () => {
    while (!listening.stop)
      await world.pool.query(
        'SELECT pg_replication_slot_advance(slot_name, pg_current_wal_insert_lsn()) FROM lockstep.stream',
      );
  })();
  expect((await media(world).getMediaFile(photo))?.originalFilename).toBe('legacy.jpg');
  await world.schemas.shadowsDone();
  listening.stop = true;
  await listener;
  expect(await counted(world)).toEqual([{ method: 'getMediaFile', ...none, differed: 1 }]);
  const [difference] = await rows(
    world.pool,
    `SELECT arguments, truth_side, truth ->> 'originalFilename' AS truth, other ->> 'originalFilename' AS other
     FROM lockstep_app.shadow_differences`,
  );
  expect(difference).toEqual({ arguments: [photo], truth_side: 'legacy', truth: 'legacy.jpg', other: 'drifted.jpg' });
  expect(world.events).toEqual([{ event: 'difference', method: 'getMediaFile', arguments: [photo] }]);
});

test('the normalized side being behind is no difference', async () => {
  await using world = await sampled();
  await media(world).updateMediaFile(photo, { originalFilename: 'new.jpg' });
  await media(world).getMediaFile(photo);
  await world.schemas.shadowsDone();
  // Nobody has applied the change within the time: nothing is known.
  expect(await counted(world)).toEqual([{ method: 'getMediaFile', ...none, unsettled: 1 }]);
  expect(await rows(world.pool, 'SELECT FROM lockstep_app.shadow_differences')).toEqual([]);
});

test('an answer does not wait for the other side, and too many comparisons are dropped', async () => {
  await using world = await sampled({ most: 2 });
  const locker = await world.pool.connect();
  await locker.query('BEGIN; LOCK TABLE media_files');
  try {
    for (let n = 0; n < 5; n += 1)
      expect((await media(world).getMediaFile(photo))?.originalFilename).toBe('legacy.jpg');
  } finally {
    await locker.query('ROLLBACK');
    locker.release();
  }
  await world.schemas.shadowsDone();
  // One under way, two waiting.
  expect(await counted(world)).toEqual([{ method: 'getMediaFile', ...none, agreed: 3, dropped: 2 }]);
});

test('a comparison that is stuck takes no connection from the application', async () => {
  await using lender = await appWorld();
  // One is kept for listening, so this application has one for all that it does.
  const pool = new pg.Pool({ ...lender.pool.options, max: 2 });
  pool.on('error', () => undefined);
  const events: AppEvent[] = [];
  try {
    await using schemas = await openSchemas({ pool, observe: (event) => void events.push(event) });
    await addPhoto(lender.pool, 1, 1, { original_filename: 'legacy.jpg' });
    await lender.apply();
    await lender.setting(shadowSettingKey, { percentage: 100 });
    await eventually(async () => (await schemas.state()).shadowPercentage === 100);
    const locker = await lender.pool.connect();
    await locker.query('BEGIN; LOCK TABLE media_files');
    try {
      const answer = () => schemas.forUser().media.getMediaFile(photo);
      expect((await answer())?.originalFilename).toBe('legacy.jpg');
      await eventually(
        async () =>
          (
            await lender.pool.query(
              "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'lockstep shadow reads' AND wait_event_type = 'Lock'",
            )
          ).rowCount,
      );
      for (let n = 0; n < 3; n += 1) expect((await answer())?.originalFilename).toBe('legacy.jpg');
    } finally {
      await locker.query('ROLLBACK');
      locker.release();
    }
    await schemas.shadowsDone();
  } finally {
    await pool.end();
  }
  expect(await counted(lender)).toEqual([{ method: 'getMediaFile', ...none, agreed: 4 }]);
  expect(events).toEqual([]);
});

test('the connection of shadow reads is opened as the application’s are, the hidden password too', async () => {
  const pool = new pg.Pool({ host: 'db.example', user: 'app', password: async () => 'a token', max: 7 });
  const own = openShadowPool(pool, () => undefined);
  expect(own.options).toMatchObject({ host: 'db.example', user: 'app', max: 1 });
  expect(own.options.password).toBe(pool.options.password);
  await Promise.all([pool.end(), own.end()]);
});

test('only as many reads as the setting says are compared', async () => {
  const dice = [0.05, 0.5, 0.09, 0.1, 0.99];
  await using world = await sampled({ random: () => dice.shift() ?? 1 });
  await world.setting(shadowSettingKey, { percentage: 10 });
  await world.schemas.state();
  await eventually(async () => (await world.schemas.state()).shadowPercentage === 10);
  for (let n = 0; n < 5; n += 1) await media(world).getMediaFile(photo);
  await world.schemas.shadowsDone();
  expect(await counted(world)).toEqual([{ method: 'getMediaFile', ...none, agreed: 2 }]);
});
