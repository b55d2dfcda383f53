import type pg from 'pg';
import { runListener } from '../../engine/capture/listener.ts';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { quote, quoteRelation } from '../../engine/identifiers.ts';
import { type LoadedTarget, loadDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { migration } from '../../sql/migration.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { type Benchmark, type Row, sized } from '../benchmark.ts';
import { ratios } from '../numbers.ts';
import { createPhotomemory, openPool } from '../rig/data.ts';
import { prepareStream } from '../rig/lockstep.ts';
import { startServer } from '../rig/server.ts';
import { timed } from '../rig/time.ts';
import { derive } from './backfill.ts';

const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024);

/**
 * A full pass of the validator against EXCEPT both ways, one statement a table with the memory that the validator's
 * chunks have. The data is the seeded one, dirt and all, with one damaged row, which every pass has to find.
 */
export const validation: Benchmark = {
  name: 'validation',
  summary: 'every row compared, against EXCEPT both ways',
  async run(context) {
    const users = sized(context, 10_000, 2_000, 50);
    const turns = sized(context, 3, 2, 1);
    await using server = await startServer();
    await createPhotomemory(server, 'validation');
    await using parts = new AsyncDisposableStack();
    const pool = openPool(server, 'validation');
    parts.defer(() => pool.end());
    context.note(`seeding ${users} users and deriving everything`);
    const client = await pool.connect();
    await seedLegacy(client, { users });
    client.release();
    await ensurePublication(pool, 'forward', migration.forward);
    const loaded = await loadDirection(pool, 'forward', migration.forward);
    await derive(pool, loaded);
    await prepareStream(pool);
    parts.use(await capture(server, pool));
    await pool.query('VACUUM ANALYZE');
    const damaged = await pool.query<{ id: string }>(
      `UPDATE media_files SET uploaded_at = uploaded_at + interval '1 microsecond' WHERE id = (SELECT id FROM media_files ORDER BY md5(id::text) LIMIT 1) RETURNING id`,
    );
    const ms = { except: [] as number[], validate: [] as number[] };
    const peaks: number[] = [];
    let compared = 0;
    for (let turn = 0; turn < turns; turn += 1) {
      context.note(`turn ${turn + 1} of ${turns}: EXCEPT, validate`);
      ms.except.push(
        await timed(async () => {
          for (const target of loaded.targets) await exceptBothWays(pool, target);
        }),
      );
      const names = loaded.targets.map(({ name }) => name);
      let report: Awaited<ReturnType<typeof validate>> | undefined;
      ms.validate.push(
        await timed(async () => {
          report = await validate({ pool, loaded, telemetry: silent, targets: names });
        }),
      );
      peaks.push(mebibytes(process.memoryUsage.rss()));
      const drift = report?.targets.flatMap((target) => target.drift.map(({ key }) => key.id)) ?? [];
      if (drift.length !== 1 || drift[0] !== damaged.rows[0]?.id) throw new Error(`it named ${drift.join(', ')}`);
      compared = report?.targets.reduce((sum, target) => sum + target.compared, 0) ?? 0;
    }
    return [
      {
        what: 'validation, time',
        against: 'EXCEPT both ways in one statement a table',
        series: [
          { label: 'validate', unit: 'ms', values: ms.validate },
          { label: 'EXCEPT both ways', unit: 'ms', values: ms.except },
          { label: 'resident memory of the validating process', unit: 'MiB', values: peaks },
        ],
        figure: ratios(ms.validate, ms.except),
        figureUnit: 'x',
        target: { kind: 'at most', value: 1 },
        notes: [`${compared.toLocaleString('en-US')} rows compared; each pass named the one damaged row and no other`],
      },
    ] satisfies Row[];
  },
};

/** A listener, which the validator's proofs need; nothing else changes, so its messages need nobody. */
async function capture(server: LocalPostgres, pool: pg.Pool): Promise<AsyncDisposable> {
  const stopping = new AbortController();
  const { promise: capturing, resolve } = Promise.withResolvers<void>();
  const ended = runListener({
    replication: { connectionString: server.url('validation') },
    pool,
    directionName: 'forward',
    direction: migration.forward,
    publisher: { publish: () => Promise.resolve() },
    telemetry: silent,
    shards: 16,
    signal: stopping.signal,
    onCapturing: resolve,
  });
  await Promise.race([capturing, ended]);
  // Making the slot asked for a backfill, which has been done.
  await pool.query('DELETE FROM lockstep.in_flight');
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended;
    },
  };
}

async function exceptBothWays(pool: pg.Pool, target: LoadedTarget): Promise<void> {
  const columns = target.columns.map(({ name }) => quote(name)).join(', ');
  const [view, table] = [quoteRelation(target.view), quoteRelation(target.relation)];
  const session = await pool.connect();
  await session.query("BEGIN; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'");
  await session.query(`
    SELECT count(*) FROM (
      (SELECT ${columns} FROM ${view} EXCEPT SELECT ${columns} FROM ${table})
      UNION ALL (SELECT ${columns} FROM ${table} EXCEPT SELECT ${columns} FROM ${view})) d`);
  await session.query('COMMIT');
  session.release();
}
