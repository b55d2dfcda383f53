import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { publicationName, slotName } from '../../engine/capture/names.ts';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { type BenchContext, type Benchmark, type Row, sized } from '../benchmark.ts';
import { ratios } from '../numbers.ts';
import { createPhotomemory, openPool, photoColumns, photoValues } from '../rig/data.ts';
import { prepareStream, startLockstep } from '../rig/lockstep.ts';
import { findProgram } from '../rig/programs.ts';
import { startServer } from '../rig/server.ts';
import { until } from '../rig/time.ts';

const database = 'listener';
const slot = slotName('forward', database);
const publication = publicationName('forward');
/** Never read: the others are copied from it, so that each turn reads the same WAL. */
const origin = 'bench_origin';

/**
 * How fast a WAL becomes messages that the queue has accepted, against `pg_recvlogical` which reads the same slot (the
 * same publication, plugin and WAL) and throws everything away, and against `subscribe` of postgres.js, another decoder
 * in JavaScript, whose handler does nothing.
 */
export const listener: Benchmark = {
  name: 'listener',
  summary: 'slot to SQS accepted, against pg_recvlogical to /dev/null',
  async run(context) {
    const program = findProgram('pg_recvlogical');
    const turns = sized(context, 3, 2, 1);
    await using server = await startServer();
    await createPhotomemory(server, database);
    await using parts = new AsyncDisposableStack();
    const pool = openPool(server, database);
    parts.defer(() => pool.end());
    await prepareStream(pool);
    await pool.query('ALTER TABLE photos DROP CONSTRAINT photos_project_id_fkey');
    await pool.query(`SELECT pg_create_logical_replication_slot('${origin}', 'pgoutput')`);
    const changes = await writeChanges(context, pool);
    const { rows } = await pool.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    const end = rows[0]?.lsn ?? '';

    const perSecond = { lockstep: [] as number[], recvlogical: [] as number[], postgresJs: [] as number[] };
    for (let turn = 0; turn < turns; turn += 1) {
      context.note(`turn ${turn + 1} of ${turns}: pg_recvlogical, listener, postgres.js`);
      perSecond.recvlogical.push(changes / ((await readWithProgram(program, server, pool, end)) / 1000));
      perSecond.lockstep.push(changes / ((await readWithListener(server, pool, end)) / 1000));
      perSecond.postgresJs.push(changes / ((await readWithPostgresJs(server, pool, changes)) / 1000));
    }
    const series = [
      { label: 'Lockstep', unit: 'changes/s', values: perSecond.lockstep },
      { label: 'pg_recvlogical', unit: 'changes/s', values: perSecond.recvlogical },
      { label: 'postgres.js subscribe', unit: 'changes/s', values: perSecond.postgresJs },
    ];
    return [
      {
        what: 'listener, slot to SQS accepted',
        against: 'pg_recvlogical to /dev/null, same WAL',
        series,
        figure: ratios(perSecond.lockstep, perSecond.recvlogical),
        figureUnit: 'x',
        target: { kind: 'at least', value: 0.9 },
        notes: [`${changes.toLocaleString('en-US')} changes: one large transaction, then transactions of five`],
      },
      {
        what: 'listener, slot to SQS accepted',
        against: 'postgres.js subscribe, handler empty, same WAL',
        series,
        figure: ratios(perSecond.lockstep, perSecond.postgresJs),
        figureUnit: 'x',
        target: undefined,
      },
    ] satisfies Row[];
  },
};

/** One transaction of three quarters of the changes, the rest in small ones. */
async function writeChanges(context: BenchContext, pool: pg.Pool): Promise<number> {
  const large = sized(context, 300_000, 60_000, 3_000);
  const small = sized(context, 20_000, 4_000, 200);
  const each = 5;
  context.note(`writing ${large + small * each} changes`);
  await pool.query(`INSERT INTO photos ${photoColumns} SELECT ${photoValues} FROM generate_series(1, ${large}) n`);
  // A block that commits cannot be one of several statements of a text.
  const client = await pool.connect();
  await client.query('SET synchronous_commit = off');
  await client.query(`
    DO $$ BEGIN
      FOR i IN 0..${small - 1} LOOP
        UPDATE photos SET width = width + 1 WHERE id IN (SELECT md5('photo ' || n)::uuid FROM generate_series(i * ${each} + 1, i * ${each} + ${each}) n);
        COMMIT;
      END LOOP;
    END $$`);
  client.release(true);
  await pool.query('CHECKPOINT');
  return large + small * each;
}

async function copySlot(pool: pg.Pool, name: string): Promise<void> {
  await pool.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${name}'`);
  await pool.query(`SELECT pg_copy_logical_replication_slot('${origin}', '${name}')`);
}

/** Or so quick that it has come and gone: with very few changes. */
const isActive = (pool: pg.Pool, name: string, child?: ChildProcess) => async () =>
  (child !== undefined && child.exitCode !== null) ||
  (await pool.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active', [name])).rowCount === 1;

/** Milliseconds from the moment it has the slot until it has read to the end. */
async function readWithProgram(program: string, server: LocalPostgres, pool: pg.Pool, end: string): Promise<number> {
  const name = 'bench_recvlogical';
  await copySlot(pool, name);
  const url = new URL(server.url(database));
  const options = ['-o', 'proto_version=1', '-o', `publication_names=${publication}`, '-o', 'messages=true'];
  const child = spawn(
    program,
    ['--start', '--no-loop', '-S', name, '-f', '/dev/null', `--endpos=${end}`, ...options, '-d', server.url(database)],
    { env: { ...process.env, PGPASSWORD: decodeURIComponent(url.password) }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const startedMs = await until('pg_recvlogical has the slot', isActive(pool, name, child), { everyMs: 2 });
  const [code] = await exited;
  if (code !== 0) throw new Error(`pg_recvlogical ended with exit code ${code}`);
  return performance.now() - startedMs;
}

/** Milliseconds from the moment it has the slot until everything is accepted by the queue, and confirmed for that. */
async function readWithListener(server: LocalPostgres, pool: pg.Pool, end: string): Promise<number> {
  await copySlot(pool, slot);
  const active = until('the listener has the slot', isActive(pool, slot), { everyMs: 2 });
  // A rejection is for whoever waits for it below.
  active.catch(() => {});
  await using lockstep = await startLockstep({ server, database, pool, parts: ['listener'] });
  const confirmed = async () =>
    (
      await pool.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn', [
        slot,
        end,
      ])
    ).rowCount === 1;
  const endedMs = await until('everything is confirmed', confirmed, { broken: lockstep.broken });
  return endedMs - (await active);
}

/** Milliseconds from the moment it has the slot until its handler has been handed every change. */
async function readWithPostgresJs(server: LocalPostgres, pool: pg.Pool, changes: number): Promise<number> {
  const name = 'bench_postgresjs';
  await copySlot(pool, name);
  const child = fork(
    fileURLToPath(new URL('../processes/postgres-js.ts', import.meta.url)),
    [server.url(database), publication, name, String(changes)],
    { stdio: ['ignore', process.stderr, process.stderr, 'ipc'] },
  );
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const startedMs = await until('postgres.js has the slot', isActive(pool, name, child), { everyMs: 2 });
  const [code] = await exited;
  if (code !== 0) throw new Error(`postgres.js ended with exit code ${code}`);
  return performance.now() - startedMs;
}
