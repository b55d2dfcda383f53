import { expect, test } from 'vitest';
import { addPhoto, id } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';
import { type AppWorld, appWorld } from './world.ts';

const photo = id('photo', 1);
const user = id('user', 1);
const media = (world: AppWorld) => world.schemas.forUser(user).media;
const nameOf = async (world: AppWorld) => (await media(world).getMediaFile(photo))?.originalFilename;
const eventNames = (world: AppWorld) => world.events.map(({ event }) => event);

/** The normalized side can be told from legacy by the name of photo 1. */
async function twoNames(options = {}) {
  const world = await appWorld(options);
  await addPhoto(world.pool, 1, 1, { original_filename: 'legacy.jpg' });
  await world.apply();
  await world.pool.query("UPDATE media_files SET original_filename = 'normalized.jpg'");
  return world;
}

test('reads go to legacy until the flag is on for the user, and NOTIFY tells of it at once', async () => {
  // Nothing is read again by itself within the time of this test.
  await using world = await twoNames({ refreshMs: 600_000, maxAgeMs: 600_000 });
  expect(await nameOf(world)).toBe('legacy.jpg');
  await world.pool.query("INSERT INTO system_settings (key, value) VALUES ('use_unified_media', 'true')");
  await eventually(async () => (await nameOf(world)) === 'normalized.jpg');
  await world.pool.query(`UPDATE system_settings SET value = '{"state": "on", "deny": ["${user}"]}'`);
  await eventually(async () => (await nameOf(world)) === 'legacy.jpg');
});

test('a change that nobody has told of is seen when the flags are read again', async () => {
  await using world = await twoNames();
  await world.pool.query('ALTER TABLE system_settings DISABLE TRIGGER ALL');
  await world.pool.query("INSERT INTO system_settings (key, value) VALUES ('use_unified_media', 'true')");
  await eventually(async () => (await nameOf(world)) === 'normalized.jpg');
});

test('a flag whose value is not understood is off, and says so', async () => {
  await using world = await twoNames();
  await world.flags('on');
  expect(await nameOf(world)).toBe('legacy.jpg');
  expect(world.events).toContainEqual({ event: 'flag-invalid', flag: 'use_unified_media' });
});

test.each([
  ['before the first backfill', 'DELETE FROM lockstep.backfill'],
  [
    'while tables are filled again',
    "INSERT INTO lockstep.backfill (id, direction, reason) VALUES (gen_random_uuid(), 'forward', 'again')",
  ],
  ['while nobody listens', "UPDATE lockstep.stream SET listener_seen_at = now() - interval '1 minute'"],
  [
    'while a change waits for long',
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     VALUES (gen_random_uuid(), 'forward', 'changes', 0, '0/1', now() - interval '1 minute', 1)`,
  ],
])('%s flagged reads ask legacy', async (_, sql) => {
  await using world = await twoNames();
  await world.flags(true);
  expect(await nameOf(world)).toBe('normalized.jpg');
  await world.pool.query(sql);
  await eventually(async () => (await nameOf(world)) === 'legacy.jpg');
});

test('what the normalized side lacks, or cannot answer, comes from legacy while legacy is the truth', async () => {
  await using world = await twoNames();
  await world.flags(true);
  await world.pool.query('DELETE FROM media_files');
  expect(await nameOf(world)).toBe('legacy.jpg');
  expect(eventNames(world)).toEqual(['missing']);
  await world.pool.query('ALTER TABLE media_files RENAME COLUMN mime_type TO kind');
  expect(await nameOf(world)).toBe('legacy.jpg');
  expect(eventNames(world)).toEqual(['missing', 'fallback']);
});

test('erratum 27: after the cutover what was deleted stays deleted, although legacy still has it', async () => {
  await using world = await twoNames({ refreshMs: 600_000, maxAgeMs: 600_000 });
  await world.flags(true);
  // Nobody is told of this one: the process still believes that legacy is the truth.
  await world.pool.query("UPDATE lockstep.phase SET phase = 'reverse', changed_at = clock_timestamp()");
  await world.pool.query('DELETE FROM media_files');
  expect(await nameOf(world)).toBeUndefined();
  expect(eventNames(world)).toEqual(['missing']);
});

test('once the normalized tables are the truth, they are asked whatever the flags say, and nothing else is', async () => {
  await using world = await twoNames();
  await world.flags(false);
  await world.pool.query("UPDATE lockstep.phase SET phase = 'reverse', changed_at = clock_timestamp()");
  await eventually(async () => (await nameOf(world)) === 'normalized.jpg');
  await world.pool.query('ALTER TABLE media_files RENAME COLUMN mime_type TO kind');
  await expect(nameOf(world)).rejects.toThrow(/mime_type/);
});

test('legacy tables that have been dropped a moment ago are not an error', async () => {
  await using world = await twoNames({ refreshMs: 600_000, maxAgeMs: 600_000 });
  expect(await nameOf(world)).toBe('legacy.jpg');
  await world.pool.query(
    "UPDATE lockstep.phase SET phase = 'complete', changed_at = clock_timestamp(); DROP TABLE photos CASCADE",
  );
  expect(await nameOf(world)).toBe('normalized.jpg');
});

test('a read of one’s own write waits for it, and asks legacy when it does not come', async () => {
  await using world = await twoNames();
  await world.flags(true);
  await media(world).updateMediaFile(photo, { originalFilename: 'mine.jpg' });
  expect(await nameOf(world)).toBe('mine.jpg');
  expect(eventNames(world)).toEqual(['behind']);
  // Other keys do not wait.
  expect((await media(world).getProjectMedia(id('project', 2))).length).toBe(0);
  expect(eventNames(world)).toEqual(['behind']);
  await world.apply();
  await world.pool.query("UPDATE media_files SET original_filename = 'normalized again.jpg'");
  expect(await nameOf(world)).toBe('normalized again.jpg');
});

test('what is in flight has not arrived, although the slot is beyond it', async () => {
  await using world = await twoNames();
  await world.flags(true);
  await world.pool.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     VALUES (gen_random_uuid(), 'forward', 'changes', 0, pg_current_wal_lsn(), now(), 1)`,
  );
  await media(world).updateMediaFile(photo, { originalFilename: 'mine.jpg' });
  await world.apply();
  expect(await nameOf(world)).toBe('mine.jpg');
  expect(eventNames(world)).toEqual(['behind']);
  await world.pool.query("DELETE FROM lockstep.in_flight; UPDATE media_files SET original_filename = 'arrived.jpg'");
  expect(await nameOf(world)).toBe('arrived.jpg');
});
