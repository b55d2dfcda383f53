import pg from 'pg';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { type Benchmark, type Row, sized } from '../benchmark.ts';
import { percentile } from '../numbers.ts';
import { createPhotomemory, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { histogram } from '../rig/histogram.ts';
import { type Lockstep, prepareStream, startLockstep } from '../rig/lockstep.ts';
import { startServer } from '../rig/server.ts';

/** Changes a second, and how many of them are one transaction: a client that has very many to make makes several at once. */
const rates = [
  { perSecond: 50, perTransaction: 1 },
  { perSecond: 200, perTransaction: 1 },
  { perSecond: 1_000, perTransaction: 5 },
  { perSecond: 3_000, perTransaction: 10 },
] as const;
type Rate = (typeof rates)[number];

const clients = 16;
/** Of each rate: connections, plans and code get warm. */
const warmUpSeconds = 2;

interface Observed {
  /** From the moment at which the change was due until its merge committed. */
  readonly fromDueMs: number[];
  /** From its own commit. */
  readonly fromCommitMs: number[];
}

/**
 * From commit to visible, at fixed rates that do not wait for anything (open loop): each change has a moment at which it
 * is due, and latency is also taken from there, so that a stall counts for every change that it delays.
 * Both ends are the server's own commit timestamps (track_commit_timestamp), so that nobody has to poll.
 */
export const latency: Benchmark = {
  name: 'latency',
  summary: 'commit to visible at 50, 200, 1,000 and 3,000 changes a second, open loop',
  async run(context) {
    const seconds = sized(context, 15, 8, 2);
    const chosen = context.size === 'smoke' ? rates.slice(0, 2) : rates;
    const most = Math.max(...chosen.map(({ perSecond }) => perSecond * (seconds + warmUpSeconds)));
    await using server = await startServer({ track_commit_timestamp: 'on' });
    await createPhotomemory(server, 'latency');
    await using parts = new AsyncDisposableStack();
    const pool = openPool(server, 'latency', 4);
    parts.defer(() => pool.end());
    context.note(`writing ${most} photos`);
    await fillLegacy(pool, most);
    await insertSelect(pool, ['user_subscriptions', 'media_files', 'project_media']);
    await pool.query('VACUUM ANALYZE');
    await pool.query('CHECKPOINT');
    await prepareStream(pool);
    const lockstep = parts.use(await startLockstep({ server, database: 'latency', pool }));
    await lockstep.settle();
    const rows: Row[] = [];
    for (const rate of chosen) {
      context.note(`${rate.perSecond} changes a second for ${seconds} s`);
      rows.push(...rowsOf(rate, await observe(server, pool, lockstep, rate, seconds)));
    }
    return rows;
  },
};

async function observe(
  server: LocalPostgres,
  pool: pg.Pool,
  lockstep: Lockstep,
  { perSecond, perTransaction }: Rate,
  seconds: number,
): Promise<Observed> {
  const application = new pg.Pool({ connectionString: server.url('latency'), max: clients });
  application.on('error', () => {});
  const transactions = Math.round((perSecond * (seconds + warmUpSeconds)) / perTransaction);
  const everyMs = (1000 * perTransaction) / perSecond;
  const mark = Math.round(performance.timeOrigin + performance.now());
  const dueMs: number[] = [];
  const running: Promise<unknown>[] = [];
  const startMs = performance.timeOrigin + performance.now() + 200;
  for (let index = 0; index < transactions; index += 1) {
    const due = startMs + index * everyMs;
    dueMs.push(due);
    const waitMs = due - (performance.timeOrigin + performance.now());
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    running.push(
      application.query({ name: 'change', text: changeSql, values: [index * perTransaction, perTransaction, mark] }),
    );
  }
  await Promise.all(running);
  await application.end();
  await lockstep.settle();
  return collect(pool, mark, dueMs, perTransaction);
}

/** Photos from the `$1`st on in the order of their numbers; each is changed once at each rate. */
const changeSql = `
  UPDATE photos SET file_size_bytes = $3 WHERE id IN (SELECT md5('photo ' || n)::uuid FROM generate_series($1::int + 1, $1::int + $2::int) n)`;
const observedSql = `
  SELECT n::int AS n, extract(epoch FROM pg_xact_commit_timestamp(p.xmin)) * 1000 AS committed,
         extract(epoch FROM pg_xact_commit_timestamp(t.xmin)) * 1000 AS visible, t.file_size_bytes = $2 AS arrived
  FROM generate_series(1, $1::int) n JOIN photos p ON p.id = md5('photo ' || n)::uuid JOIN media_files t ON t.id = p.id`;

async function collect(
  pool: pg.Pool,
  mark: number,
  dueMs: readonly number[],
  perTransaction: number,
): Promise<Observed> {
  const { rows } = await pool.query<{ n: number; committed: string; visible: string; arrived: boolean }>(observedSql, [
    dueMs.length * perTransaction,
    mark,
  ]);
  if (rows.length !== dueMs.length * perTransaction || rows.some(({ arrived }) => !arrived))
    throw new Error('a change has not arrived');
  const firstMs = (dueMs[0] ?? 0) + warmUpSeconds * 1000;
  const observed: Observed = { fromDueMs: [], fromCommitMs: [] };
  for (const { n, committed, visible } of rows) {
    const due = dueMs[Math.floor((n - 1) / perTransaction)] ?? 0;
    if (due < firstMs) continue;
    observed.fromDueMs.push(Number(visible) - due);
    observed.fromCommitMs.push(Number(visible) - Number(committed));
  }
  return observed;
}

function rowsOf({ perSecond, perTransaction }: Rate, { fromDueMs, fromCommitMs }: Observed): Row[] {
  const series = [50, 90, 99, 99.9, 100].flatMap((percent) => [
    { label: `p${percent} from commit`, unit: 'ms', values: [percentile(fromCommitMs, percent)] },
    { label: `p${percent} from due`, unit: 'ms', values: [percentile(fromDueMs, percent)] },
  ]);
  const what = `commit to visible, ${perSecond.toLocaleString('en-US')} changes/s`;
  const isTarget = perSecond === 200;
  const row = (percent: number, target: number) => ({
    what: `${what}, p${percent}`,
    against: '',
    series: [],
    figure: [percentile(fromDueMs, percent)],
    figureUnit: 'ms',
    target: isTarget ? ({ kind: 'at most', value: target } as const) : undefined,
  });
  const notes = [
    `${fromDueMs.length.toLocaleString('en-US')} changes, ${perTransaction} to a transaction; from the moment at which each was due: ${histogram(fromDueMs)}`,
  ];
  return [{ ...row(50, 60), series, notes }, row(99, 250)];
}
