import { expect, test } from 'vitest';
import { openSchemas } from '../../app/index.ts';
import { guardSqlState } from '../../app/manager/guard.ts';
import { addPhoto, id, rows, sqlStateOf, value } from '../sql/world.ts';
import { type AppWorld, appWorld } from './world.ts';

const photo = id('photo', 1);
const user = id('user', 1);
const file = (n: number) => ({
  id: id('photo', n),
  originalFilename: `${n}.jpg`,
  fileUrl: `https://cdn.example/${n}.jpg`,
  mimeType: 'image/jpeg',
  fileSizeBytes: 10,
});
/** Reads the state once: what changes afterwards it has to find out by itself. */
const unaware = { refreshMs: 600_000, maxAgeMs: 600_000 };

async function world(options = {}) {
  const opened = await appWorld(options);
  await addPhoto(opened.pool, 1, 1);
  await opened.apply();
  await opened.schemas.state();
  return opened;
}

/** What the commit of a cutover or rollback does to the application. */
async function turn({ pool }: AppWorld, phase: 'forward' | 'reverse', guarded: readonly string[]): Promise<void> {
  await pool.query(`
    CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '${guardSqlState}'; END $$;
    ${guarded.map((table) => `CREATE OR REPLACE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON ${table} EXECUTE FUNCTION refuse();`).join('\n')}
    UPDATE lockstep.phase SET phase = '${phase}', changed_at = clock_timestamp()`);
}
const legacyTables = ['photos', 'media_items', 'subscriptions', 'generated_videos'];
const normalizedTables = ['media_files', 'project_media', 'user_subscriptions', 'generation_jobs'];

test('writes go to legacy first', async () => {
  await using db = await world();
  const { media } = db.schemas.forUser(user);
  expect(await media.addPhoto(id('project', 1), file(2))).toBe(true);
  expect(await value(db.pool, 'SELECT count(*)::int FROM photos')).toBe(2);
  expect(await value(db.pool, 'SELECT count(*)::int FROM media_files')).toBe(1);
  expect(await value(db.pool, 'SELECT total_storage_bytes::int FROM users')).toBe(10);
  // The same request again is the same file.
  expect(await media.addPhoto(id('project', 1), file(2))).toBe(true);
  expect(await value(db.pool, 'SELECT total_storage_bytes::int FROM users')).toBe(10);
});

test('a write that meets the guard of a cutover is done on the other side, once, and whoever waits sees no error', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', legacyTables);
  const { media } = db.schemas.forUser(user);
  expect(await media.addPhoto(id('project', 1), file(2))).toBe(true);
  expect(await rows(db.pool, 'SELECT display_order FROM project_media ORDER BY 1')).toEqual([
    { display_order: 1 },
    { display_order: 2 },
  ]);
  expect(await value(db.pool, 'SELECT count(*)::int FROM photos')).toBe(1);
  expect(db.events).toEqual([{ event: 'turned', to: 'normalized' }]);
  // From now on it knows.
  expect(await media.deleteMediaFile(photo)).toBe(true);
  expect(await media.getMediaFile(photo)).toBeNull();
  expect(db.events).toHaveLength(1);
});

test('and after a rollback it is done on legacy', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', []);
  const { media } = db.schemas.forUser(user);
  // Learns of the phase by finding nothing.
  expect(await media.deleteMediaFile(id('photo', 9))).toBe(false);
  expect(db.events).toEqual([{ event: 'turned', to: 'normalized' }]);
  await turn(db, 'forward', normalizedTables);
  expect(await media.updateMediaFile(photo, { originalFilename: 'back.jpg' })).toBe(true);
  expect(await value(db.pool, 'SELECT original_filename FROM photos')).toBe('back.jpg');
  expect(db.events.slice(1)).toEqual([{ event: 'turned', to: 'legacy' }]);
});

test('"there is no such row" is not said by the side that has ceased to be the truth', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', legacyTables);
  // Made by another process, after the cutover: legacy does not have it yet, and a write that finds nothing meets no guard.
  await db.pool.query(
    `INSERT INTO generation_jobs (id, project_id, user_id, generation_service) VALUES ($1, $2, $3, 'luma')`,
    [id('video', 1), id('project', 1), user],
  );
  const { generation } = db.schemas.forUser(user);
  expect(await generation.updateGenerationJob(id('video', 1), { status: 'processing' })).toBe(true);
  expect((await generation.getGenerationJob(id('video', 1)))?.status).toBe('processing');
});

test('a transaction of several writes is repeated as a whole', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', ['generated_videos']);
  const runs: string[] = [];
  await db.schemas.forUser(user).write(async ({ media, generation }, client) => {
    runs.push('run');
    await client.query("UPDATE video_projects SET title = coalesce(title, '') || 'x'");
    await media.addPhoto(id('project', 1), file(2));
    await generation.createGenerationJob({
      id: id('video', 1),
      projectId: id('project', 1),
      generationService: 'luma',
    });
  });
  expect(runs).toHaveLength(2);
  expect(await value(db.pool, 'SELECT title FROM video_projects')).toBe('x');
  expect(await value(db.pool, 'SELECT count(*)::int FROM photos')).toBe(1);
  expect(await value(db.pool, 'SELECT count(*)::int FROM media_files')).toBe(2);
});

test('the guards of the engine raise what the application takes for a guard', async () => {
  await using db = await world();
  await db.pool.query(`CREATE TRIGGER guarded BEFORE DELETE ON photos FOR EACH STATEMENT
    EXECUTE FUNCTION lockstep.guard('cutover', 'media_files', '')`);
  expect(await sqlStateOf(db.pool.query('DELETE FROM photos'))).toBe(guardSqlState);
});

test('when both sides refuse, the error says so, and nothing is written', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', [...legacyTables, ...normalizedTables]);
  const write = db.schemas.forUser(user).media.addPhoto(id('project', 1), file(2));
  await expect(write).rejects.toMatchObject({ code: 'LS_APP_GUARDED' });
  expect(await value(db.pool, 'SELECT count(*)::int FROM photos')).toBe(1);
});

test('what the database refuses is told as it says it', async () => {
  await using db = await world();
  const tooLong = { ...file(2), id: 'not a uuid' };
  await expect(db.schemas.forUser(user).media.addPhoto(id('project', 1), tooLong)).rejects.toMatchObject({
    code: '22P02',
  });
  await expect(
    db.schemas.forUser(user).write(async ({ media }, client) => {
      await media.addPhoto(id('project', 1), file(3));
      await client.query('SELECT 1/0').catch(() => undefined);
    }),
  ).rejects.toMatchObject({ code: 'LS_APP_ROLLED_BACK' });
});

test('the victim of a deadlock is repeated', async () => {
  await using db = await world();
  const { write } = db.schemas.forUser(user);
  let tries = 0;
  await write(async (_, client) => {
    tries += 1;
    if (tries < 3) await client.query("DO $$ BEGIN RAISE EXCEPTION 'victim' USING ERRCODE = '40P01'; END $$");
  });
  expect(db.events).toEqual([
    { event: 'repeated', sqlState: '40P01' },
    { event: 'repeated', sqlState: '40P01' },
  ]);
});

test('a connection that is lost between two statements is an error of that write, and of nothing else', async () => {
  await using db = await world();
  const { write } = db.schemas.forUser(user);
  const losing = write(async (to, client) => {
    await to.media.addPhoto(id('project', 1), file(2));
    // Not `once` of node:events: it would reject with the error that comes before the end, and nobody has asked yet.
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    const { rows: own } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await db.pool.query('SELECT pg_terminate_backend($1)', [own[0]?.pid]);
    await ended;
    return to.media.addPhoto(id('project', 1), file(3));
  });
  await expect(losing).rejects.toThrow();
  expect(await rows(db.pool, 'SELECT id FROM photos')).toEqual([{ id: photo }]);
  expect(await write((to) => to.media.addPhoto(id('project', 1), file(2)))).toBe(true);
});

test('writes are all there before the migration has begun', async () => {
  await using db = await world(unaware);
  await db.pool.query('DROP SCHEMA lockstep CASCADE; DROP TABLE system_settings');
  await using schemas = await openSchemas({ pool: db.pool });
  const { media } = schemas.forUser(user);
  expect(await media.deleteMediaFile(id('photo', 9))).toBe(false);
  expect(await media.deleteMediaFile(photo)).toBe(true);
  expect(await media.getMediaFile(photo)).toBeNull();
});

test('someone new, who meets no guard, is not made on the side that has ceased to be the truth', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', legacyTables);
  const added = id('user', 2);
  const { subscriptions } = db.schemas.forUser(added);
  await subscriptions.createUser({ id: added, email: 'new@mail.example', displayName: 'new' });
  expect(db.events).toEqual([{ event: 'turned', to: 'normalized' }]);
  // The new schema makes up no subscription: it is a row.
  expect(await subscriptions.getUserSubscription(added)).toMatchObject({ id: added, planId: 'free' });
  expect(await subscriptions.checkUserLimit(added, 'projects')).toBe(true);
});

test('a transaction that has only written what both sides share is repeated too, and what it has read is of the truth', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', legacyTables);
  await db.pool.query("UPDATE media_files SET original_filename = 'renamed.jpg'");
  await db.schemas.forUser(user).write(async ({ media }, client) => {
    const cover = await media.getMediaFile(photo);
    await client.query('UPDATE video_projects SET title = $1', [cover?.originalFilename]);
  });
  expect(await value(db.pool, 'SELECT title FROM video_projects')).toBe('renamed.jpg');
  expect(db.events).toEqual([{ event: 'turned', to: 'normalized' }]);
});

test('legacy columns that are gone are the guard of a migration that is complete', async () => {
  await using db = await world(unaware);
  await turn(db, 'reverse', []);
  await db.pool.query(
    "UPDATE lockstep.phase SET phase = 'complete'; ALTER TABLE users DROP COLUMN subscription_plan CASCADE",
  );
  const { subscriptions } = db.schemas.forUser(user);
  expect(await subscriptions.updateSubscription(user, { planId: 'pro' })).toBe(true);
  expect((await subscriptions.getUserSubscription(user))?.planId).toBe('pro');
  expect(db.events).toEqual([{ event: 'turned', to: 'normalized' }]);
});

test('what is missing on the side that is the truth is told as the server says it', async () => {
  await using db = await world();
  await db.pool.query('ALTER TABLE media_items RENAME COLUMN width TO breadth');
  await expect(db.schemas.forUser(user).media.addMediaItem(user, file(2))).rejects.toMatchObject({ code: '42703' });
});
