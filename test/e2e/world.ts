import type pg from 'pg';
import { expect } from 'vitest';
import { ensurePublication } from '../../engine/capture/publication.ts';
import type { Failpoints } from '../../engine/failpoint.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { buildApply } from '../../functions/apply/build.ts';
import { listenToBoth } from '../../functions/listener/both.ts';
import type { ListenerParts } from '../../functions/listener/build.ts';
import { defaultShards, environment } from '../../infra/contract.ts';
import { startEventSource } from '../../infra/local/event-source.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { migration as photomemoryMigration } from '../../sql/migration.ts';
import { oracleDifferences } from '../oracle/oracle.ts';
import { type DatabaseTemplate, type TestDatabase, testDatabase } from '../support/database.ts';
import { differences } from '../support/differences.ts';
import { photomemory } from '../support/photomemory.ts';
import { type TestQueue, testQueue } from '../support/queue.ts';

/** A part of the machine that runs until it is stopped. */
export interface Part extends AsyncDisposable {
  /** Rejects with what ended it. */
  readonly ended: Promise<unknown>;
}

export interface World extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly queue: TestQueue;
  readonly migration: Migration;
  /** The forward direction. */
  readonly loaded: LoadedDirection;
  /** A legacy application's connection; a transaction of several statements may go as one text. */
  readonly app: pg.Client;
  /** Keeps errors, for the message of a wait that fails. */
  readonly telemetry: Telemetry;
  /** Settings by which another process uses this world. */
  readonly settings: Readonly<Record<string, string>>;
  /** Waits until everything that has been committed is applied. */
  settle(timeoutMs?: number): Promise<void>;
  /**
   * Asks twice whether all is well: by the engine's views, and by the oracle, which shares nothing with them and also
   * knows which scopes must be in quarantine.
   */
  agree(): Promise<void>;
  /** Settles, and then asks. */
  sync(timeoutMs?: number): Promise<void>;
}

/** What the queue needs of the environment, beside the database. */
const credentials = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };

/**
 * A database with a migration's schemas and a queue, and nobody yet who captures or applies.
 *
 * @param server of the test's own; default: the one that all tests share.
 */
export async function stillWorld(
  template: DatabaseTemplate = photomemory,
  migration: Migration = photomemoryMigration,
  server?: string,
): Promise<World> {
  await using started = new AsyncDisposableStack();
  const database = started.use(await testDatabase({ template, ...(server !== undefined && { server }) }));
  await ensurePublication(database.pool, 'forward', migration.forward);
  const queue = started.use(await testQueue());
  const loaded = await loadDirection(database.pool, 'forward', migration.forward);
  const app = await database.client();
  const errors: unknown[] = [];
  const telemetry: Telemetry = {
    log: (level, event, fields) => void (level === 'error' && errors.push({ event, ...fields })),
    measure() {},
  };
  const settle = async (timeoutMs = 120_000) => {
    const direction = await activeDirection(database.pool);
    const { captured, applied } = await passBarrier({ db: database.pool, direction, timeoutMs });
    if (captured && applied) return;
    const { rows } = await database.pool.query('SELECT * FROM lockstep.in_flight LIMIT 10');
    throw new Error(`Not applied in time: ${JSON.stringify({ captured, inFlight: rows, errors }, undefined, 2)}`);
  };
  const agree = async () => {
    expect(await differences(database.pool, loaded)).toEqual({});
    if (migration === photomemoryMigration) expect(await oracleDifferences(app)).toEqual([]);
  };
  const parts = started.move();
  return {
    database,
    queue,
    migration,
    loaded,
    app,
    telemetry,
    settings: {
      [environment.databaseUrl]: database.url,
      [environment.queueUrl]: queue.queueUrl,
      [environment.deadLetterQueueUrl]: queue.deadLetterQueueUrl,
      AWS_ENDPOINT_URL_SQS: queue.endpoint,
      ...credentials,
    },
    settle,
    agree,
    async sync(timeoutMs) {
      await settle(timeoutMs);
      await agree();
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** The listener as it is deployed, capturing. */
export async function startListening(
  { settings, queue, telemetry, migration }: World,
  failpoints?: Failpoints,
  more: Partial<Pick<ListenerParts, 'limits' | 'deadLetterQueueUrl'>> = {},
): Promise<Part> {
  const stopping = new AbortController();
  const { promise: capturing, resolve } = Promise.withResolvers<void>();
  const ended: Promise<unknown> = listenToBoth({
    client: queue.sqs,
    queueUrl: queue.queueUrl,
    migration,
    shards: defaultShards,
    telemetry,
    signal: stopping.signal,
    standby: true,
    env: settings,
    onCapturing: () => resolve(),
    ...more,
    ...(failpoints && { failpoints }),
  });
  ended.catch(() => undefined);
  await Promise.race([capturing, ended]);
  return {
    ended,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await ended.catch(() => undefined);
    },
  };
}

const appliers = 4;

/** The apply function as it is deployed, fed from the queue. */
export async function startApplying(
  { settings, queue, telemetry, migration }: World,
  failpoints?: Failpoints,
): Promise<Part> {
  const { sqs: client, queueUrl, queueArn, deadLetterQueueUrl } = queue;
  const database = await openDatabase({ applicationName: 'lockstep apply', env: settings, max: 2 * appliers });
  const parts = {
    pool: database.pool,
    client,
    queueUrl,
    deadLetterQueueUrl,
    migration,
    telemetry,
    concurrency: appliers,
  };
  const handler = buildApply({ ...parts, ...(failpoints && { failpoints }) });
  const source = startEventSource({
    client,
    queueUrl,
    queueArn,
    handler,
    concurrency: appliers,
    waitSeconds: 1,
    telemetry,
  });
  return {
    ended: source.finished,
    async [Symbol.asyncDispose]() {
      await source.stop();
      await database.close();
    },
  };
}

/** Everything, from the WAL through SQS to the merge; the first start's backfill is done with. */
export async function startWorld(template?: DatabaseTemplate, migration?: Migration): Promise<World> {
  await using started = new AsyncDisposableStack();
  const world = started.use(await stillWorld(template, migration));
  started.use(await startApplying(world));
  started.use(await startListening(world));
  await world.sync();
  const parts = started.move();
  return { ...world, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
