import { setTimeout as delay } from 'node:timers/promises';
import { loadDirection } from '../../engine/migration/load.ts';
import { migration } from '../../sql/migration.ts';
import { type Benchmark, type Row, sized } from '../benchmark.ts';
import { createPhotomemory, emptyTargets, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { prepareStream, startAppliers, startLockstep } from '../rig/lockstep.ts';
import { startServer } from '../rig/server.ts';
import { timed } from '../rig/time.ts';
import { derive } from './backfill.ts';

/** The same work at one, ten and a hundred times the rows: backfill, and one UPDATE of all of them end to end. */
export const scale: Benchmark = {
  name: 'scale',
  long: true,
  summary: 'backfill and end to end at 1x, 10x and 100x of the rows',
  async run(context) {
    const base = sized(context, 30_000, 3_000, 100);
    const rows: Row[] = [];
    let before: Times | undefined;
    for (const factor of [1, 10, 100]) {
      const photos = base * factor;
      context.note(`${photos} photos`);
      const now = await atSize(photos);
      context.note(
        `INSERT … SELECT ${inSeconds(now.insertMs)}, backfill ${inSeconds(now.backfillMs)}, end to end ${inSeconds(now.updateMs)}`,
      );
      const name = photos.toLocaleString('en-US');
      for (const [what, key, wanted] of [
        ['INSERT … SELECT', 'insertMs', false],
        ['backfill', 'backfillMs', true],
        ['end to end', 'updateMs', true],
      ] as const) {
        rows.push({
          what: `${what}, ${name} photos`,
          against: before ? 'a tenth of them' : '',
          series: [{ label: `${what}, ${name} photos`, unit: 'photos/s', values: [photos / (now[key] / 1000)] }],
          figure: [before ? now[key] / before[key] : now[key]],
          figureUnit: before ? 'x' : 'ms',
          target: before && wanted ? { kind: 'at most', value: 11 } : undefined,
        });
      }
      before = now;
    }
    return rows;
  },
};

interface Times {
  /** One statement for each target: how the server's own work grows. */
  readonly insertMs: number;
  readonly backfillMs: number;
  readonly updateMs: number;
}

const targets = ['user_subscriptions', 'media_files', 'project_media'];
const inSeconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

async function atSize(photos: number): Promise<Times> {
  await using server = await startServer({ max_wal_size: '16GB' });
  await createPhotomemory(server, 'scale');
  await using parts = new AsyncDisposableStack();
  const pool = openPool(server, 'scale');
  parts.defer(() => pool.end());
  await fillLegacy(pool, photos);
  await emptyTargets(pool);
  await pool.query('CHECKPOINT');
  const insertMs = await timed(() => insertSelect(pool, targets));
  await emptyTargets(pool);
  await pool.query('CHECKPOINT');
  const loaded = await loadDirection(pool, 'forward', migration.forward);
  const backfillMs = await timed(() => derive(pool, loaded));
  await pool.query('VACUUM ANALYZE');
  await pool.query('CHECKPOINT');
  await prepareStream(pool);
  await using lockstep = await startLockstep({ server, database: 'scale', pool });
  await lockstep.settle();
  await pool.query(`UPDATE photos SET mime_type = 'image/avif'`);
  return { insertMs, backfillMs, updateMs: await timed(() => lockstep.settle()) };
}

/** A queue that nobody has emptied for a while: the listener must not care, and the appliers must catch up. */
export const backlog: Benchmark = {
  name: 'backlog',
  long: true,
  summary: '100,000, 1,000,000 and 10,000,000 keys waiting in the queue, then applied',
  async run(context) {
    const photos = sized(context, 100_000, 10_000, 200);
    const rounds = sized(context, [1, 10, 100], [1, 10], [1, 2]);
    await using server = await startServer({ max_wal_size: '16GB' });
    await createPhotomemory(server, 'backlog');
    await using parts = new AsyncDisposableStack();
    const pool = openPool(server, 'backlog');
    parts.defer(() => pool.end());
    await fillLegacy(pool, photos);
    await insertSelect(pool, targets);
    await pool.query('VACUUM ANALYZE');
    await prepareStream(pool);
    const rows: Row[] = [];
    let before: number | undefined;
    for (const count of rounds) {
      await using lockstep = await startLockstep({ server, database: 'backlog', pool, parts: ['listener'] });
      const keys = (photos * count).toLocaleString('en-US');
      context.note(`${keys} keys into the queue`);
      for (let round = 0; round < count; round += 1) {
        await pool.query('UPDATE photos SET width = width + 1');
        await captured(lockstep, photos * (round + 1));
      }
      const { rows: waiting } = await pool.query<{ keys: string }>(
        'SELECT coalesce(sum(key_count), 0)::text AS keys FROM lockstep.in_flight',
      );
      context.note(`${waiting[0]?.keys} keys wait; the appliers start`);
      await using appliers = await startAppliers(lockstep.queue.settings, server.url('backlog'));
      const ms = await timed(() => Promise.race([lockstep.settle(), appliers.broken]));
      context.note(`applied after ${inSeconds(ms)}`);
      rows.push({
        what: `backlog of ${keys} keys, time to apply`,
        against: before === undefined ? '' : 'a tenth of them',
        series: [{ label: `backlog of ${keys} keys`, unit: 'keys/s', values: [(photos * count) / (ms / 1000)] }],
        figure: [before === undefined ? ms : ms / before],
        figureUnit: before === undefined ? 'ms' : 'x',
        target: before === undefined ? undefined : { kind: 'at most', value: 11 },
      });
      before = ms;
    }
    return rows;
  },
};

async function captured(lockstep: Awaited<ReturnType<typeof startLockstep>>, changes: number): Promise<void> {
  while (lockstep.tally.sum('capture.changes') < changes) await Promise.race([lockstep.broken, delay(50)]);
}
