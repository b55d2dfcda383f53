import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { type BenchContext, type Benchmark, type Row, sized } from '../benchmark.ts';
import { median, ratios } from '../numbers.ts';
import { copyDatabase, createPhotomemory, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { prepareStream, startLockstep } from '../rig/lockstep.ts';
import { findProgram } from '../rig/programs.ts';
import { startServer } from '../rig/server.ts';

const clients = 4;
const modes = ['off', 'on', 'triggers'] as const;
type Mode = (typeof modes)[number];

interface Load {
  readonly transactionsPerSecond: number;
  readonly latencyMs: number;
}

/**
 * What the application notices: pgbench writes to the legacy tables without Lockstep, with all of it (listener, queue and
 * appliers on the same two cores), and with AFTER triggers that do the same dual write. Once at a fixed rate that the
 * machine can bear, where latency counts, and once as fast as it goes, where everything competes for the processors.
 */
export const overhead: Benchmark = {
  name: 'overhead',
  summary: 'legacy writes (pgbench): sync off, on, and AFTER triggers instead',
  async run(context) {
    const program = findProgram('pgbench');
    const photos = sized(context, 100_000, 20_000, 1_000);
    const seconds = sized(context, 6, 5, 2);
    const turns = sized(context, 3, 1, 1);
    await using server = await startServer({ max_wal_size: '8GB' });
    context.note(`writing ${photos} photos, three times`);
    await prepare(server, photos);
    const results: Record<'fixed' | 'fastest', Record<Mode, Load[]>> = {
      fixed: { off: [], on: [], triggers: [] },
      fastest: { off: [], on: [], triggers: [] },
    };
    let rate = 0;
    for (let turn = 0; turn < turns; turn += 1) {
      for (const mode of modes) {
        context.note(`turn ${turn + 1} of ${turns}: sync ${mode}, as fast as it goes`);
        results.fastest[mode].push(await measure(context, server, program, mode, photos, seconds, undefined));
      }
      // Half of what the slowest way bears: near that, writers queue up, and their latency says no more.
      const borne = modes.map((mode) => results.fastest[mode][0]?.transactionsPerSecond ?? 0);
      rate ||= Math.max(10, Math.round(Math.min(...borne) / 2));
      for (const mode of modes) {
        context.note(`turn ${turn + 1} of ${turns}: sync ${mode}, ${rate} transactions a second`);
        results.fixed[mode].push(await measure(context, server, program, mode, photos, seconds, rate));
      }
    }
    return rowsOf(results, rate);
  },
};

async function prepare(server: LocalPostgres, photos: number): Promise<void> {
  await createPhotomemory(server, 'off');
  const pool = openPool(server, 'off');
  await fillLegacy(pool, photos);
  await insertSelect(pool, ['user_subscriptions', 'media_files', 'project_media']);
  await pool.query('VACUUM ANALYZE');
  await pool.query('CHECKPOINT');
  await pool.end();
  for (const mode of ['on', 'triggers']) await copyDatabase(server, 'off', `"${mode}"`);
  const triggers = openPool(server, 'triggers', 1);
  await triggers.query(await readFile(new URL('../rig/triggers.sql', import.meta.url), 'utf8'));
  await triggers.end();
  const on = openPool(server, 'on', 1);
  await prepareStream(on);
  await on.end();
}

async function measure(
  context: BenchContext,
  server: LocalPostgres,
  program: string,
  mode: Mode,
  photos: number,
  seconds: number,
  rate: number | undefined,
): Promise<Load> {
  await using parts = new AsyncDisposableStack();
  const pool = openPool(server, mode, 4);
  parts.defer(() => pool.end());
  await pool.query('CHECKPOINT');
  if (mode !== 'on') return await runPgbench(program, server, mode, photos, seconds, rate);
  const lockstep = parts.use(await startLockstep({ server, database: mode, pool }));
  await lockstep.settle();
  const load = await runPgbench(program, server, mode, photos, seconds, rate);
  const startedMs = performance.now();
  await lockstep.settle();
  const behind = ((performance.now() - startedMs) / 1000).toFixed(1);
  context.note(`Lockstep had applied everything ${behind} s after the load had ended`);
  return load;
}

async function runPgbench(
  program: string,
  server: LocalPostgres,
  database: string,
  photos: number,
  seconds: number,
  rate: number | undefined,
): Promise<Load> {
  const script = fileURLToPath(new URL('../rig/legacy-writes.pgbench', import.meta.url));
  const url = new URL(server.url(database));
  const limits = ['-n', '-T', String(seconds), '-c', String(clients), '-j', '1', '-M', 'prepared', '-r'];
  const child = spawn(
    program,
    [
      ...limits,
      ...(rate === undefined ? [] : ['-R', String(rate)]),
      '-D',
      `photos=${photos}`,
      '-f',
      script,
      '-h',
      url.hostname,
      '-p',
      url.port,
      '-U',
      url.username,
      database,
    ],
    {
      env: { ...process.env, PGPASSWORD: decodeURIComponent(url.password), PGSSLMODE: 'disable' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  const transactionsPerSecond = Number(/^tps = ([\d.]+)/m.exec(text)?.[1]);
  const latencyMs = Number(/^latency average = ([\d.]+) ms/m.exec(text)?.[1]);
  if (code !== 0 || !(transactionsPerSecond > 0) || !(latencyMs > 0)) throw new Error(`pgbench: ${text}`);
  return { transactionsPerSecond, latencyMs };
}

function rowsOf(results: Record<'fixed' | 'fastest', Record<Mode, Load[]>>, rate: number): Row[] {
  const label = (mode: Mode) => (mode === 'triggers' ? 'triggers instead' : `sync ${mode}`);
  const rates = (loads: Record<Mode, Load[]>, mode: Mode) => loads[mode].map((load) => load.transactionsPerSecond);
  const latencies = (mode: Mode) => results.fixed[mode].map((load) => load.latencyMs);
  const fastest = modes.map((mode) => ({
    label: `${label(mode)}, as fast as it goes`,
    unit: 'transactions/s',
    values: rates(results.fastest, mode),
  }));
  const fixed = modes.map((mode) => ({ label: `${label(mode)}, at ${rate}/s`, unit: 'ms', values: latencies(mode) }));
  const onOff = ratios(rates(results.fastest, 'on'), rates(results.fastest, 'off'));
  const triggersOff = ratios(rates(results.fastest, 'triggers'), rates(results.fastest, 'off'));
  return [
    {
      what: 'legacy writes (pgbench), sync on against off, transactions/s',
      against: 'sync off, as fast as it goes',
      series: fastest,
      figure: onOff,
      figureUnit: 'x',
      target: { kind: 'at least', value: 0.9 },
      notes: [
        `${clients} clients; here the application, PostgreSQL, the queue, the listener and the appliers compete for every processor`,
        `triggers reach ${median(triggersOff).toFixed(2)}x of the writes without any synchronization`,
      ],
    },
    {
      what: 'legacy writes (pgbench), sync on against triggers, transactions/s',
      against: 'AFTER triggers doing the same dual write',
      series: [],
      figure: ratios(rates(results.fastest, 'on'), rates(results.fastest, 'triggers')),
      figureUnit: 'x',
      target: { kind: 'at least', value: 1 },
    },
    {
      what: `legacy writes at ${rate}/s, latency of sync off against on`,
      against: 'sync off at the same rate',
      series: fixed,
      figure: ratios(latencies('off'), latencies('on')),
      figureUnit: 'x',
      target: { kind: 'at least', value: 0.9 },
      notes: [`with triggers ${median(ratios(latencies('off'), latencies('triggers'))).toFixed(2)}x`],
    },
  ];
}
