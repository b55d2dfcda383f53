import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { textTypes } from '../../infra/postgres/types.ts';

/** Photos of one project; two projects belong to one user. */
export const photosPerProject = 20;
const projectsPerUser = 2;

/** A pool as the deployed parts have it, to a database of this server. */
export function openPool(server: LocalPostgres, database: string, max = 8): pg.Pool {
  const pool = new pg.Pool({
    connectionString: server.url(database),
    max,
    types: textTypes,
    application_name: 'lockstep bench',
  });
  // Connections that are idle while the server stops at the end.
  pool.on('error', () => {});
  return pool;
}

async function onServer(server: LocalPostgres, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/** A new database with the engine's schema, the legacy schema and the normalized one, all empty. */
export async function createPhotomemory(server: LocalPostgres, name: string): Promise<void> {
  await onServer(server, `CREATE DATABASE ${name}`);
  const pool = openPool(server, name, 1);
  for (const [folder, pattern] of [
    ['../../engine/schema/', /^\d{3}_.*\.sql$/],
    ['../../sql/', /^00[0-7]_.*\.sql$/],
  ] as const) {
    const url = new URL(folder, import.meta.url);
    const files = (await readdir(url)).filter((file) => pattern.test(file)).sort();
    for (const file of files) await pool.query(await readFile(new URL(file, url), 'utf8'));
  }
  await pool.end();
}

/** A copy of a database that nobody is connected to. */
export async function copyDatabase(server: LocalPostgres, from: string, to: string): Promise<void> {
  await onServer(server, `CREATE DATABASE ${to} TEMPLATE ${from} STRATEGY FILE_COPY`);
}

/** The column list and the values of photo `n` of project `(n - 1) / 20`, which its id and its project's follow from. */
export const photoColumns =
  '(id, project_id, original_filename, file_url, thumbnail_url, mime_type, file_size_bytes, width, height, metadata, upload_order)';
export const photoValues = `md5('photo ' || n)::uuid, md5('project ' || (n - 1) / ${photosPerProject})::uuid,
  'IMG_' || n || '.jpg', 'https://cdn.photomemory.example/photos/' || md5(n::text) || '.jpg',
  'https://cdn.photomemory.example/photos/' || md5(n::text) || '.jpg?thumb', 'image/jpeg', 200000 + n % 6000000, 4032, 3024,
  jsonb_build_object('iso', 100 * (1 + n % 8), 'camera', 'PM-' || n % 4), ((n - 1) % ${photosPerProject})::int`;

/**
 * Fills the legacy tables with rows that the normalized ones accept (the other benchmarks' reference is one statement,
 * which a single bad row would stop): photos 1 to `photos`, their projects and users.
 */
export async function fillLegacy(db: pg.Pool | pg.ClientBase, photos: number): Promise<void> {
  const projects = Math.ceil(photos / photosPerProject);
  const users = Math.ceil(projects / projectsPerUser);
  await db.query(
    `INSERT INTO users (id, email, display_name) SELECT md5('user ' || n)::uuid, 'user' || n || '@example.org', 'User ' || n FROM generate_series(0, ${users - 1}) n`,
  );
  await db.query(
    `INSERT INTO video_projects (id, user_id, title) SELECT md5('project ' || n)::uuid, md5('user ' || n / ${projectsPerUser})::uuid, 'Project ' || n FROM generate_series(0, ${projects - 1}) n`,
  );
  await db.query(`INSERT INTO photos ${photoColumns} SELECT ${photoValues} FROM generate_series(1, ${photos}) n`);
  await db.query('ANALYZE users; ANALYZE video_projects; ANALYZE photos');
}

const targetTables = 'user_subscriptions, media_files, project_media, generation_jobs';

/** One `INSERT … SELECT` for each target: what any way of filling the normalized tables is measured against. */
export async function insertSelect(db: pg.Pool | pg.ClientBase, targets: readonly string[]): Promise<void> {
  for (const target of targets) {
    const columns = await db.query<{ list: string }>(
      `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS list FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
      [`lockstep_forward.${target}`],
    );
    const list = columns.rows[0]?.list;
    await db.query(`INSERT INTO public.${target} (${list}) SELECT ${list} FROM lockstep_forward.${target}`);
  }
}

/** Empties the normalized tables and whatever the engine has noted. */
export async function emptyTargets(db: pg.Pool | pg.ClientBase): Promise<void> {
  await db.query(`TRUNCATE ${targetTables}; TRUNCATE lockstep.in_flight, lockstep.quarantine`);
  await db.query('TRUNCATE lockstep.backfill CASCADE');
}
