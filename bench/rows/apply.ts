import type pg from 'pg';
import { createApplier } from '../../engine/apply/applier.ts';
import { limitsWithinBudget } from '../../engine/apply/limits.ts';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../../sql/migration.ts';
import { type BenchContext, type Benchmark, type Row, sized } from '../benchmark.ts';
import { median, ratios } from '../numbers.ts';
import { applyAll } from '../rig/appliers.ts';
import { ownCpuMs, serverCpuMs } from '../rig/cpu.ts';
import { createPhotomemory, emptyTargets, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { enterAll, packAll } from '../rig/messages.ts';
import { startServer } from '../rig/server.ts';
import { timed } from '../rig/time.ts';

/** Batches in hand at once, as in `lockstep dev`. */
const concurrency = 4;
const keysPerRound = 10_000;
const targets = ['media_files', 'project_media'];

type Photo = readonly [id: string, project: string];

/**
 * Rows merged per second by the appliers, from messages that name every photo, against one `INSERT … SELECT` of the same
 * rows, and against a consumer that writes one statement per change. All into empty tables with all their indexes.
 */
export const apply: Benchmark = {
  name: 'apply',
  summary: 'rows merged per second, against INSERT … SELECT and one upsert per change; and ten times the rows',
  async run(context) {
    const turns = sized(context, 3, 2, 1);
    const photos = sized(context, 150_000, 20_000, 400);
    await using server = await startServer();
    await using parts = new AsyncDisposableStack();
    await createPhotomemory(server, 'small');
    await createPhotomemory(server, 'large');
    const small = openPool(server, 'small');
    const large = openPool(server, 'large');
    parts.defer(() => Promise.all([small.end(), large.end()]).then(() => {}));
    context.note(`writing ${photos} photos and a tenth of that`);
    await fillLegacy(large, photos);
    await fillLegacy(small, photos / 10);
    const rows = { large: await readPhotos(large), small: await readPhotos(small) };
    const loaded = await loadDirection(large, 'forward', migration.forward);

    const perSecond = {
      merge: [] as number[],
      insert: [] as number[],
      eachRow: [] as number[],
      bothRows: [] as number[],
    };
    const mergeMs = { small: [] as number[], large: [] as number[] };
    const insertMs = { small: [] as number[], large: [] as number[] };
    const cpuMs = { merge: [] as number[], insert: [] as number[], node: [] as number[] };
    const written = 2 * photos;
    for (let turn = 0; turn < turns; turn += 1) {
      context.note(`turn ${turn + 1} of ${turns}: INSERT … SELECT, merges, upserts`);
      let cpu = serverCpuMs(server.pid);
      insertMs.large.push(await insertOnce(large));
      perSecond.insert.push(written / ((insertMs.large.at(-1) ?? 0) / 1000));
      cpuMs.insert.push(serverCpuMs(server.pid) - cpu);
      insertMs.small.push(await insertOnce(small));
      await merge(small, loaded, rows.small);
      mergeMs.small.push(await merge(small, loaded, rows.small));
      cpu = serverCpuMs(server.pid);
      const own = ownCpuMs();
      mergeMs.large.push(await merge(large, loaded, rows.large));
      cpuMs.merge.push(serverCpuMs(server.pid) - cpu);
      cpuMs.node.push(ownCpuMs() - own);
      perSecond.merge.push(written / ((mergeMs.large.at(-1) ?? 0) / 1000));
      for (const way of ['eachRow', 'bothRows'] as const)
        perSecond[way].push(await upsertsPerSecond(context, large, rows.large, upserts[way]));
    }
    const series = [
      { label: 'merges', unit: 'rows/s', values: perSecond.merge },
      { label: 'INSERT … SELECT', unit: 'rows/s', values: perSecond.insert },
      { label: 'one upsert per row per change', unit: 'rows/s', values: perSecond.eachRow },
      { label: 'one upsert per change, of both rows', unit: 'rows/s', values: perSecond.bothRows },
      { label: 'merges, CPU of the server', unit: 'ms', values: cpuMs.merge },
      { label: 'merges, CPU of the appliers and the harness', unit: 'ms', values: cpuMs.node },
      { label: 'INSERT … SELECT, CPU of the server', unit: 'ms', values: cpuMs.insert },
    ];
    const grown = [
      { label: `${rows.small.length} photos`, unit: 'ms', values: mergeMs.small },
      { label: `${rows.large.length} photos`, unit: 'ms', values: mergeMs.large },
    ];
    return [
      {
        what: 'apply, rows merged per second',
        against: 'one INSERT … SELECT of the same rows',
        series,
        figure: ratios(perSecond.merge, perSecond.insert),
        figureUnit: 'x',
        target: { kind: 'at least', value: 0.8 },
        notes: [
          `${written.toLocaleString('en-US')} rows of media_files and project_media, ${concurrency} batches at once`,
          `CPU of the server for the merges against the INSERT: ${(median(cpuMs.merge) / median(cpuMs.insert)).toFixed(2)}x`,
        ],
      },
      {
        what: 'apply, rows merged per second',
        against: 'one upsert per row per change',
        series,
        figure: ratios(perSecond.merge, perSecond.eachRow),
        figureUnit: 'x',
        target: { kind: 'at least', value: 10 },
        notes: [
          `upserts: prepared, each with its own commit, ${concurrency} connections; without queue and ledger, which a consumer has as well`,
          `against one statement that writes both rows of a photo: ${median(ratios(perSecond.merge, perSecond.bothRows)).toFixed(1)}x`,
        ],
      },
      {
        what: 'apply, time for ten times the rows',
        against: '',
        series: grown,
        figure: ratios(mergeMs.large, mergeMs.small),
        figureUnit: 'x',
        target: { kind: 'at most', value: 11 },
        notes: [
          `one INSERT … SELECT of ten times the rows: ${median(ratios(insertMs.large, insertMs.small)).toFixed(1)}x`,
        ],
      },
    ] satisfies Row[];
  },
};

async function readPhotos(pool: pg.Pool): Promise<Photo[]> {
  const { rows } = await pool.query<{ id: string; project: string }>(
    'SELECT id::text AS id, project_id::text AS project FROM photos ORDER BY ctid',
  );
  return rows.map(({ id, project }) => [id, project]);
}

async function prepare(pool: pg.Pool): Promise<void> {
  await emptyTargets(pool);
  await pool.query('CHECKPOINT');
}

async function insertOnce(pool: pg.Pool): Promise<number> {
  await prepare(pool);
  const client = await pool.connect();
  try {
    return await timed(async () => {
      await client.query('BEGIN');
      await insertSelect(client, targets);
      await client.query('COMMIT');
    });
  } finally {
    client.release();
  }
}

async function merge(pool: pg.Pool, loaded: LoadedDirection, photos: readonly Photo[]): Promise<number> {
  await prepare(pool);
  const parcels = packAll('photos', photos, keysPerRound);
  await enterAll(pool, parcels);
  const limits = await limitsWithinBudget(pool, concurrency);
  const applier = createApplier({ pool, loaded, telemetry: silent, limits });
  const ms = await timed(() => applyAll(applier, parcels, concurrency));
  const { rows } = await pool.query<{ written: number }>(
    'SELECT ((SELECT count(*) FROM media_files) + (SELECT count(*) FROM project_media))::int AS written',
  );
  if (rows[0]?.written !== 2 * photos.length) throw new Error(`${rows[0]?.written} rows were merged`);
  return ms;
}

const upsertFileSql = `
  INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, thumbnail_url, file_type, mime_type,
    file_size_bytes, width, height, processing_status, metadata, folder_path, uploaded_at, created_at, updated_at)
  SELECT p.id, vp.user_id, p.original_filename, 'legacy/photos/' || p.id, p.file_url, p.thumbnail_url, 'image', p.mime_type,
    p.file_size_bytes, p.width, p.height, 'completed', p.metadata, '/projects/' || p.project_id, p.created_at, p.created_at, p.updated_at
  FROM photos p JOIN video_projects vp ON vp.id = p.project_id WHERE p.id = $1
  ON CONFLICT (id) DO UPDATE SET mime_type = EXCLUDED.mime_type, file_size_bytes = EXCLUDED.file_size_bytes, metadata = EXCLUDED.metadata`;
const upsertPlaceSql = `
  INSERT INTO project_media (id, project_id, media_file_id, display_order, duration_seconds, transition_type, added_at)
  SELECT p.id, p.project_id, p.id, p.upload_order, 3.0, 'fade', p.created_at FROM photos p WHERE p.id = $1
  ON CONFLICT (id) DO UPDATE SET display_order = EXCLUDED.display_order`;
/** One commit for each row, or one for both rows of a photo. */
const upserts = {
  eachRow: [
    { name: 'file', text: upsertFileSql },
    { name: 'place', text: upsertPlaceSql },
  ],
  bothRows: [{ name: 'both', text: `WITH file AS (${upsertFileSql}) ${upsertPlaceSql}` }],
} as const;

/** What a consumer does that takes one change after the other; of a part of the photos, since it takes long. */
async function upsertsPerSecond(
  context: BenchContext,
  pool: pg.Pool,
  photos: readonly Photo[],
  statements: (typeof upserts)[keyof typeof upserts],
): Promise<number> {
  await prepare(pool);
  const some = photos.slice(0, sized(context, 8_000, 2_000, 40));
  let next = 0;
  const consumer = async () => {
    for (let photo = some[next++]; photo; photo = some[next++]) {
      for (const statement of statements) await pool.query({ ...statement, values: [photo[0]] });
    }
  };
  const ms = await timed(() => Promise.all(Array.from({ length: concurrency }, consumer)));
  return (2 * some.length) / (ms / 1000);
}
