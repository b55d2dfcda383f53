import type { ClientBase } from 'pg';
import { dice } from './seed/dice.ts';
import { seedMediaItems, seedSubscriptions, seedUsageRecords, seedUsers } from './seed/people.ts';
import { seedPhotos, seedProjects, seedStorageTotals, seedVideos } from './seed/projects.ts';

export interface SeedOptions {
  /** Each has about 20 photos. Every kind of dirt occurs from 20 users on. */
  readonly users: number;
  /** Rows and their ids are the same for the same seed; of another seed they differ. Default 1. */
  readonly seed?: number;
}

const tables = [
  'users',
  'subscriptions',
  'video_projects',
  'photos',
  'media_items',
  'generated_videos',
  'usage_records',
];

/**
 * Fills the legacy tables with believable rows, dirty on purpose: every erratum that speaks of data occurs, most at a
 * rate of 0.1 to 1 percent. One transaction; rows that are there already stay as they are, so a second call changes
 * nothing. About 30,000 rows a second.
 *
 * @param client a superuser's connection outside of a transaction: orphans can only be written while foreign keys are off.
 * @returns how many rows were written, by table.
 * @throws RangeError when `users` or `seed` is not a whole number.
 */
export async function seedLegacy(
  client: ClientBase,
  { users, seed = 1 }: SeedOptions,
): Promise<Record<string, number>> {
  if (!Number.isSafeInteger(users) || users < 0) throw new RangeError(`users is a whole number, not ${users}`);
  const d = dice(seed);
  const inserts: Record<string, string> = {
    users: seedUsers(d, users),
    subscriptions: seedSubscriptions(d, users),
    video_projects: seedProjects(d, users),
    photos: seedPhotos(d, users),
    media_items: seedMediaItems(d, users),
    generated_videos: seedVideos(d, users),
    usage_records: seedUsageRecords(d, users),
  };
  const written: Record<string, number> = {};
  await client.query('BEGIN');
  try {
    await client.query('SET LOCAL session_replication_role = replica');
    for (const [table, insert] of Object.entries(inserts)) written[table] = (await client.query(insert)).rowCount ?? 0;
    await client.query(seedStorageTotals(d));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
  await client.query(`ANALYZE ${tables.map((table) => `public.${table}`).join(', ')}`);
  return written;
}
