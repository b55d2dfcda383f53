import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { runBackfill } from '../../engine/backfill/run.ts';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';
import { migration } from '../../sql/migration.ts';
import { type Benchmark, type Row, sized } from '../benchmark.ts';
import { median, ratios } from '../numbers.ts';
import { serverCpuMs } from '../rig/cpu.ts';
import { createPhotomemory, emptyTargets, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { startServer } from '../rig/server.ts';
import { timed } from '../rig/time.ts';

const targets = ['user_subscriptions', 'media_files', 'project_media'];

/** A whole backfill, chunk by chunk, against one `INSERT … SELECT` of each table; and of a tenth of the rows. */
export const backfill: Benchmark = {
  name: 'backfill',
  summary: 'rows per second, against INSERT … SELECT; and ten times the rows',
  async run(context) {
    const turns = sized(context, 3, 2, 1);
    const photos = sized(context, 150_000, 20_000, 400);
    await using server = await startServer();
    await using parts = new AsyncDisposableStack();
    for (const name of ['small', 'large']) await createPhotomemory(server, name);
    const [small, large] = [openPool(server, 'small'), openPool(server, 'large')];
    parts.defer(() => Promise.all([small.end(), large.end()]).then(() => {}));
    context.note(`writing ${photos} photos and a tenth of that`);
    await fillLegacy(large, photos);
    await fillLegacy(small, photos / 10);
    const loaded = await loadDirection(large, 'forward', migration.forward);
    const ms = {
      insert: [] as number[],
      insertSmall: [] as number[],
      backfill: [] as number[],
      small: [] as number[],
    };
    const cpuMs = { insert: [] as number[], backfill: [] as number[] };
    for (let turn = 0; turn < turns; turn += 1) {
      context.note(`turn ${turn + 1} of ${turns}`);
      await prepare(large);
      let cpu = serverCpuMs(server.pid);
      ms.insert.push(await timed(() => insertOnce(large)));
      cpuMs.insert.push(serverCpuMs(server.pid) - cpu);
      const expected = await countRows(large);
      await prepare(small);
      ms.insertSmall.push(await timed(() => insertOnce(small)));
      await prepare(small);
      ms.small.push(await timed(() => derive(small, loaded)));
      await prepare(large);
      cpu = serverCpuMs(server.pid);
      ms.backfill.push(await timed(() => derive(large, loaded)));
      cpuMs.backfill.push(serverCpuMs(server.pid) - cpu);
      if ((await countRows(large)) !== expected) throw new Error('the backfill has not written every row');
    }
    const rows = await countRows(large);
    const rate = (values: readonly number[]) => values.map((value) => rows / (value / 1000));
    return [
      {
        what: 'backfill, rows per second',
        against: 'one INSERT … SELECT',
        series: [
          { label: 'backfill', unit: 'rows/s', values: rate(ms.backfill) },
          { label: 'INSERT … SELECT', unit: 'rows/s', values: rate(ms.insert) },
          { label: 'backfill, CPU of the server', unit: 'ms', values: cpuMs.backfill },
          { label: 'INSERT … SELECT, CPU of the server', unit: 'ms', values: cpuMs.insert },
        ],
        figure: ratios(rate(ms.backfill), rate(ms.insert)),
        figureUnit: 'x',
        target: { kind: 'at least', value: 0.9 },
        notes: [`${rows.toLocaleString('en-US')} rows of ${targets.join(', ')}`],
      },
      {
        what: 'backfill, time for ten times the rows',
        against: '',
        series: [
          { label: `${photos / 10} photos`, unit: 'ms', values: ms.small },
          { label: `${photos} photos`, unit: 'ms', values: ms.backfill },
        ],
        figure: ratios(ms.backfill, ms.small),
        figureUnit: 'x',
        target: { kind: 'at most', value: 11 },
        notes: [`one INSERT … SELECT of ten times the rows: ${median(ratios(ms.insert, ms.insertSmall)).toFixed(1)}x`],
      },
    ] satisfies Row[];
  },
};

async function prepare(pool: pg.Pool): Promise<void> {
  await emptyTargets(pool);
  await pool.query('CHECKPOINT');
}

async function insertOnce(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await insertSelect(client, targets);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

/** A backfill of everything by one worker, as the first listener asks for it. */
export async function derive(pool: pg.Pool, loaded: LoadedDirection): Promise<void> {
  const runId = randomUUID();
  const client = await pool.connect();
  await client.query('BEGIN');
  const all = loaded.targets.map(({ name }) => name);
  await enterBackfill(client, loaded, { id: runId, direction: 'forward', reason: 'benchmark', targets: all });
  await client.query('COMMIT');
  client.release();
  const deadlineMs = Number.POSITIVE_INFINITY;
  const outcome = await runBackfill({ pool, loaded, runId, deadlineMs, telemetry: silent });
  if (outcome !== 'finished') throw new Error(`the backfill ended ${outcome}`);
}

async function countRows(pool: pg.Pool): Promise<number> {
  const counts = targets.map((target) => `(SELECT count(*) FROM ${target})`).join(' + ');
  const { rows } = await pool.query<{ rows: number }>(`SELECT (${counts})::int AS rows`);
  return rows[0]?.rows ?? 0;
}
