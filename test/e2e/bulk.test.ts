import type { ClientBase } from 'pg';
import { expect, test } from 'vitest';
import { addUsers, derive, id, rows } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';
import { startApplying, startListening, stillWorld } from './world.ts';

const photos = 200_000;
const photosPerProject = 20;

/** The legacy tables that would be long to read as a whole. */
const large = ['photos', 'video_projects'];

/** How often each was read sequentially, as far as the connections that did it have ended or reported. */
async function sequentialScans(client: ClientBase): Promise<Record<string, number>> {
  await client.query('SELECT pg_stat_force_next_flush()');
  const scans = await rows<{ name: string; scans: number }>(
    client,
    'SELECT relname AS name, seq_scan::int AS scans FROM pg_stat_user_tables WHERE relname = ANY ($1)',
    [large],
  );
  return Object.fromEntries(scans.map(({ name, scans }) => [name, scans]));
}

test('200,000 rows in one UPDATE', { timeout: 900_000 }, async () => {
  await using world = await stillWorld();
  const { app } = world;
  // The first start's backfill, of nothing: what one of large tables reads is in plans.test.ts.
  {
    await using _applying = await startApplying(world);
    await using _listening = await startListening(world);
    await world.settle();
  }
  await addUsers(app, 1);
  await app.query(
    `INSERT INTO video_projects (id, user_id) SELECT md5('project ' || n)::uuid, $1 FROM generate_series(1, ${photos / photosPerProject}) n`,
    [id('user', 1)],
  );
  await app.query(
    `INSERT INTO photos (id, project_id, original_filename, file_url, mime_type, upload_order)
     SELECT md5('photo ' || n)::uuid, md5('project ' || (n + ${photosPerProject - 1}) / ${photosPerProject})::uuid, n || '.jpg', 'https://cdn.example/' || n, 'image/jpeg', n
     FROM generate_series(1, ${photos}) n`,
  );
  // In step from the start, and behind the slot's position, so that all there is to do is the UPDATE.
  for (const target of ['user_subscriptions', 'media_files', 'project_media']) await derive(app, target);
  // The server may take a moment to notice that the listener is gone.
  const advanceSql = 'SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM lockstep.stream';
  await eventually(() => app.query(advanceSql));
  await app.query('ANALYZE');
  const before = await sequentialScans(app);
  {
    await using _applying = await startApplying(world);
    await using _listening = await startListening(world);
    const updated = await app.query("UPDATE photos SET mime_type = 'image/avif', metadata = '{\"converted\": true}'");
    expect(updated.rowCount).toBe(photos);
    await world.settle(800_000);
  }
  // No merge has read a large legacy table from end to end: the one reading is the UPDATE's own.
  expect(await sequentialScans(app)).toEqual({ ...before, photos: (before.photos ?? 0) + 1 });
  await world.agree();
  expect(await rows(app, 'SELECT mime_type, metadata, count(*)::int AS files FROM media_files GROUP BY 1, 2')).toEqual([
    { mime_type: 'image/avif', metadata: { converted: true }, files: photos },
  ]);
  expect(await rows(app, 'SELECT count(*)::int AS placed FROM project_media')).toEqual([{ placed: photos }]);
});
