import { readFile } from 'node:fs/promises';
import type pg from 'pg';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { type Benchmark, type Row, type Series, sized } from '../benchmark.ts';
import { median, ratios } from '../numbers.ts';
import { serverCpuMs } from '../rig/cpu.ts';
import { copyDatabase, createPhotomemory, fillLegacy, insertSelect, openPool } from '../rig/data.ts';
import { prepareStream, startLockstep } from '../rig/lockstep.ts';
import { startServer } from '../rig/server.ts';
import { timed, until } from '../rig/time.ts';

/** Another value in each turn, so that each changes every row. */
const updateSql = `UPDATE photos SET mime_type = $1, metadata = '{"converted": true}'`;
const typeOfTurn = (turn: number) => `image/x-turn-${turn}`;
/** A row that is written after the change: when it is there, all is there. */
const sentinelSql = `
  INSERT INTO photos (id, project_id, original_filename, file_url, mime_type, upload_order)
  SELECT $1, id, 'sentinel', 'https://cdn.photomemory.example/sentinel', 'image/jpeg', $2 FROM video_projects ORDER BY id LIMIT 1`;

interface Turn {
  /** From the commit of the change until all of it is applied. */
  readonly ms: number;
  readonly cpuMs: number;
}

interface Counts {
  readonly requests: Record<string, number>;
  readonly walBytes: number;
  readonly applyMs: number;
}

/**
 * Many rows changed by one UPDATE, from its commit until the normalized tables show it: through listener, queue and
 * appliers, against the server's own logical replication into another database with a trigger that does the same
 * transform for each row. Both are up while the UPDATE runs. The requests that reach the queue meanwhile are counted.
 */
export const endToEnd: Benchmark = {
  name: 'end-to-end',
  summary: 'changed rows applied, against built-in logical replication with a row trigger; SQS requests; cost',
  async run(context) {
    const photos = sized(context, 500_000, 50_000, 1_000);
    const turns = sized(context, 2, 1, 1);
    await using server = await startServer({ max_wal_size: '8GB', wal_receiver_status_interval: '1' });
    await using parts = new AsyncDisposableStack();
    context.note(`writing ${photos} photos, their files and their places, three times`);
    await prepare(server, photos);
    const subject = openPool(server, 'subject');
    const publisher = openPool(server, 'publisher');
    const subscriber = openPool(server, 'subscriber');
    parts.defer(() => Promise.all([subject, publisher, subscriber].map((pool) => pool.end())).then(() => {}));
    const lockstepTurns: Turn[] = [];
    const builtInTurns: Turn[] = [];
    const counts: Counts[] = [];
    await prepareStream(subject);
    await subscribe(server, publisher, subscriber);
    for (let turn = 1; turn <= turns; turn += 1) {
      context.note(`turn ${turn} of ${turns}: built-in replication`);
      builtInTurns.push(await measureBuiltIn(server, publisher, subscriber, turn));
      context.note(`turn ${turn} of ${turns}: Lockstep`);
      const { counted, ...measured } = await measureLockstep(server, subject, turn);
      lockstepTurns.push(measured);
      counts.push(counted);
    }
    await agree(subject, turns);
    await endSubscription(subscriber);
    return rowsOf(photos, lockstepTurns, builtInTurns, counts);
  },
};

async function prepare(server: LocalPostgres, photos: number): Promise<void> {
  await createPhotomemory(server, 'subject');
  const pool = openPool(server, 'subject');
  await fillLegacy(pool, photos);
  await insertSelect(pool, ['user_subscriptions', 'media_files', 'project_media']);
  await pool.query('VACUUM ANALYZE');
  await pool.query('CHECKPOINT');
  await pool.end();
  for (const name of ['publisher', 'subscriber']) await copyDatabase(server, 'subject', name);
}

async function subscribe(server: LocalPostgres, publisher: pg.Pool, subscriber: pg.Pool): Promise<void> {
  await publisher.query('CREATE PUBLICATION bench FOR TABLE photos');
  // In one cluster CREATE SUBSCRIPTION would wait for itself when it makes the slot.
  await publisher.query(`SELECT pg_create_logical_replication_slot('bench_subscription', 'pgoutput')`);
  await subscriber.query(await readFile(new URL('../rig/triggers.sql', import.meta.url), 'utf8'));
  await subscriber.query('ALTER TABLE photos ENABLE REPLICA TRIGGER bench_dual_write');
  await subscriber.query(
    `CREATE SUBSCRIPTION bench CONNECTION '${server.url('publisher')}' PUBLICATION bench
     WITH (create_slot = false, slot_name = 'bench_subscription', copy_data = false)`,
  );
}

async function endSubscription(subscriber: pg.Pool): Promise<void> {
  await subscriber.query('ALTER SUBSCRIPTION bench DISABLE');
  await subscriber.query('ALTER SUBSCRIPTION bench SET (slot_name = NONE)');
  await subscriber.query('DROP SUBSCRIPTION bench');
}

async function measureBuiltIn(
  server: LocalPostgres,
  publisher: pg.Pool,
  subscriber: pg.Pool,
  turn: number,
): Promise<Turn> {
  const sentinel = `00000000-0000-4000-8000-${String(turn).padStart(12, '0')}`;
  await publisher.query(updateSql, [typeOfTurn(turn)]);
  const cpu = serverCpuMs(server.pid);
  const startedMs = performance.now();
  await publisher.query(sentinelSql, [sentinel, 1_000_000 + turn]);
  const arrived = async () =>
    (await subscriber.query('SELECT FROM media_files WHERE id = $1', [sentinel])).rowCount === 1;
  const ms = (await until('built-in replication has applied the change', arrived)) - startedMs;
  return { ms, cpuMs: serverCpuMs(server.pid) - cpu };
}

async function measureLockstep(
  server: LocalPostgres,
  pool: pg.Pool,
  turn: number,
): Promise<Turn & { counted: Counts }> {
  await using lockstep = await startLockstep({ server, database: 'subject', pool });
  await lockstep.settle();
  await pool.query(updateSql, [typeOfTurn(turn)]);
  await lockstep.queue.takeCounts();
  const cpu = serverCpuMs(server.pid);
  const applyMs = lockstep.tally.sum('apply_duration_ms');
  const before = (await pool.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')).rows[0]?.lsn;
  const ms = await timed(() => lockstep.settle());
  const cpuMs = serverCpuMs(server.pid) - cpu;
  const { rows } = await pool.query<{ bytes: string }>(
    'SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)::text AS bytes',
    [before],
  );
  const requests = await lockstep.queue.takeCounts();
  const walBytes = Number(rows[0]?.bytes);
  // What the workers measure arrives a tenth of a second later.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { ms, cpuMs, counted: { requests, walBytes, applyMs: lockstep.tally.sum('apply_duration_ms') - applyMs } };
}

/** A benchmark of something that is wrong would be worth nothing. */
async function agree(pool: pg.Pool, turns: number): Promise<void> {
  const { rows } = await pool.query<{ wrong: number }>(
    `SELECT count(*)::int AS wrong FROM photos p LEFT JOIN media_files t ON t.id = p.id
     WHERE t.mime_type IS DISTINCT FROM p.mime_type OR t.metadata IS DISTINCT FROM p.metadata OR p.mime_type <> $1`,
    [typeOfTurn(turns)],
  );
  if (rows[0]?.wrong !== 0) throw new Error(`${rows[0]?.wrong} files differ from their photos`);
}

const total = (requests: Record<string, number>) => Object.values(requests).reduce((sum, count) => sum + count, 0);

function rowsOf(photos: number, lockstep: readonly Turn[], builtIn: readonly Turn[], counts: readonly Counts[]): Row[] {
  const rate = (turns: readonly Turn[]) => turns.map(({ ms }) => photos / (ms / 1000));
  const perMillion = (value: number) => (value * 1_000_000) / photos;
  const rates: Series[] = [
    { label: 'Lockstep', unit: 'changed rows/s', values: rate(lockstep) },
    { label: 'built-in replication with a trigger', unit: 'changed rows/s', values: rate(builtIn) },
    { label: 'Lockstep, CPU of the server', unit: 'ms', values: lockstep.map(({ cpuMs }) => cpuMs) },
    { label: 'built-in, CPU of the server', unit: 'ms', values: builtIn.map(({ cpuMs }) => cpuMs) },
  ];
  const actions = [...new Set(counts.flatMap(({ requests }) => Object.keys(requests)))];
  const perAction = actions.map((action) => ({
    label: action,
    unit: 'requests per million changes',
    values: counts.map(({ requests }) => perMillion(requests[action] ?? 0)),
  }));
  const cost: Series[] = [
    ...perAction,
    { label: 'apply', unit: 'Lambda ms per million changes', values: counts.map(({ applyMs }) => perMillion(applyMs)) },
    {
      label: 'WAL of merges and ledger',
      unit: 'bytes per million changes',
      values: counts.map(({ walBytes }) => perMillion(walBytes)),
    },
  ];
  const size = photos.toLocaleString('en-US');
  return [
    {
      what: `end to end, ${size} changed rows`,
      against: 'built-in logical replication with a row trigger',
      series: rates,
      figure: ratios(rate(lockstep), rate(builtIn)),
      figureUnit: 'x',
      target: { kind: 'at least', value: 1.5 },
      notes: ['one UPDATE of every photo, from its commit until the normalized tables show it'],
    },
    {
      what: 'SQS requests per million changes in bulk',
      against: 'one message per change in batches of ten: 100,000 sends alone',
      series: cost,
      figure: counts.map(({ requests }) => perMillion(total(requests))),
      figureUnit: 'requests',
      target: { kind: 'at most', value: 1_000 },
      notes: [
        'every request that reached the queue is counted, empty receives included',
        `sends alone: ${Math.round(median(counts.map(({ requests }) => perMillion(requests.SendMessageBatch ?? 0))))}`,
      ],
    },
  ];
}
