import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { createTally, type Tally } from '../../cli/dev/tally.ts';
import { startWorker } from '../../cli/dev/worker.ts';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { silent } from '../../engine/telemetry.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { environment } from '../../infra/contract.ts';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { migration } from '../../sql/migration.ts';
import { type QueueProcess, startQueueProcess } from './queue.ts';

/** Lockstep's processes over one database: listener, appliers, queue. */
export interface Lockstep extends AsyncDisposable {
  readonly queue: QueueProcess;
  readonly tally: Tally;
  /** Rejects when a process has ended by itself. */
  readonly broken: Promise<never>;
  /** Waits until everything that has been committed is applied. */
  settle(): Promise<void>;
}

export interface LockstepOptions {
  readonly server: LocalPostgres;
  readonly database: string;
  readonly pool: pg.Pool;
  /** Default: both. */
  readonly parts?: readonly ('listener' | 'applier')[];
}

/** As long as ten million keys may take on a slow machine; whoever waits is told of a process that ends. */
const settleMs = 45 * 60_000;

/** Says that the targets have been derived, so that the first listener does not ask for it. */
export async function prepareStream(pool: pg.Pool): Promise<void> {
  await ensurePublication(pool, 'forward', migration.forward);
  await pool.query(
    `INSERT INTO lockstep.backfill (id, direction, reason, finished_at) VALUES ($1, 'forward', 'benchmark', now())`,
    [randomUUID()],
  );
}

/** Starts them as `lockstep dev` does, each a process of its own; resolves when changes are captured. */
export async function startLockstep(options: LockstepOptions): Promise<Lockstep> {
  const { server, database, pool, parts: names = ['applier', 'listener'] } = options;
  await using starting = new AsyncDisposableStack();
  const queue = starting.use(await startQueueProcess());
  const tally = createTally();
  const { promise: broken, reject } = Promise.withResolvers<never>();
  broken.catch(() => {});
  const env = { ...process.env, ...queue.settings, [environment.databaseUrl]: server.url(database) };
  const telemetry = {
    log(level: string, event: string, fields?: object) {
      if (level === 'error') process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
    },
    measure: tally.add,
  };
  const folder = fileURLToPath(new URL('../../sql/', import.meta.url));
  const workers = names.map((name) => startWorker({ name, folder, env, telemetry, onEnded: reject }));
  for (const worker of workers) starting.defer(() => worker.stop());
  await Promise.race([broken, Promise.all(workers.map(({ ready }) => ready))]);
  const running = starting.move();
  return {
    queue,
    tally,
    broken,
    async settle() {
      const outcome = await Promise.race([
        broken,
        passBarrier({ db: pool, direction: 'forward', timeoutMs: settleMs }),
      ]);
      if (!outcome.applied) throw new Error(`not applied within ${settleMs / 60_000} minutes`);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Appliers for a queue that is there already. */
export async function startAppliers(
  settings: Readonly<Record<string, string>>,
  databaseUrl: string,
): Promise<AsyncDisposable & { readonly broken: Promise<never> }> {
  const { promise: broken, reject } = Promise.withResolvers<never>();
  broken.catch(() => {});
  const env = { ...process.env, ...settings, [environment.databaseUrl]: databaseUrl };
  const folder = fileURLToPath(new URL('../../sql/', import.meta.url));
  const worker = startWorker({ name: 'applier', folder, env, telemetry: silent, onEnded: reject });
  await Promise.race([broken, worker.ready]);
  return { broken, [Symbol.asyncDispose]: () => worker.stop() };
}
