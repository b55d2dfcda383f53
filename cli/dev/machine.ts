import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type OpenDashboard, openDashboard } from '../../dashboard/open.ts';
import { LockstepError } from '../../engine/errors.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import type { DevHooks } from '../../engine/migration/dev.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { environment } from '../../infra/contract.ts';
import { isFree } from '../../infra/local/port.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { type LocalQueue, startQueue } from '../../infra/local/queue.ts';
import type { Database } from '../../infra/postgres/database.ts';
import { prepareDatabase } from './database.ts';
import { showingEvents } from './notes.ts';
import { startWorker } from './worker.ts';

export interface MachineOptions {
  readonly folder: string;
  readonly migration: Migration;
  readonly hooks: DevHooks;
  readonly users: number;
  readonly pgPort?: number;
  readonly queuePort?: number;
  readonly dashboardPort?: number;
  /** Where database and queue are kept. Default: nowhere. */
  readonly data?: string;
  readonly telemetry: Telemetry;
  readonly onStep: (text: string) => void;
}

export interface Machine {
  readonly database: Database;
  /** What another process must have in its environment to use this machine. */
  readonly settings: Readonly<Record<string, string>>;
  readonly databaseUrl: string;
  readonly queue: LocalQueue;
  readonly dashboard: OpenDashboard;
  /** Rejects when a part of the machine has ended by itself. */
  readonly broken: Promise<never>;
}

/**
 * Starts everything that a migration needs, on this machine, and hands each part to `parts`, which ends them in reverse.
 * Resolves when changes are being captured and applied.
 */
export async function startMachine(options: MachineOptions, parts: AsyncDisposableStack): Promise<Machine> {
  const { folder, migration, hooks, users, onStep } = options;
  let dashboard: OpenDashboard | undefined;
  const telemetry = showingEvents(options.telemetry, () => dashboard);
  await assertFree(options.dashboardPort);
  onStep('starting PostgreSQL and the queue');
  const directories = await dataDirectories(options.data);
  const server = parts.use(
    await startPostgres({
      ...(options.pgPort === undefined ? {} : { port: options.pgPort }),
      ...(directories ? { dataDirectory: directories.postgres } : { fsync: false }),
    }),
  );
  const queue = parts.use(
    await startQueue({
      ...(options.queuePort === undefined ? {} : { port: options.queuePort }),
      ...(directories ? { dataDirectory: directories.queue } : {}),
    }),
  );
  const prepared = parts.use(await prepareDatabase({ server, migration, folder, hooks, users, telemetry, onStep }));
  const { database, url } = prepared;
  const settings = settingsOf(url, queue);
  onStep('starting the listener and the appliers');
  const { promise: broken, reject: onEnded } = Promise.withResolvers<never>();
  broken.catch(() => {});
  const env = { ...process.env, ...settings };
  const workers = (['applier', 'listener'] as const).map((name) => {
    const worker = startWorker({ name, folder, env, telemetry, onEnded });
    parts.defer(() => worker.stop());
    return worker;
  });
  await Promise.race([broken, Promise.all(workers.map(({ ready }) => ready))]);
  const { dashboardPort } = options;
  dashboard = parts.use(
    await openDashboard({
      migration,
      env: settings,
      telemetry,
      ...(dashboardPort === undefined ? {} : { port: dashboardPort }),
    }),
  );
  return { database, settings, databaseUrl: url, queue, dashboard, broken };
}

/** The page comes last; that its port is taken should not be learned only then. */
async function assertFree(port: number | undefined): Promise<void> {
  if (port === undefined || (await isFree(port))) return;
  throw new LockstepError('LS_PORT_IN_USE', `Port ${port} on 127.0.0.1, wanted for the dashboard, is taken.`);
}

async function dataDirectories(data: string | undefined): Promise<{ postgres: string; queue: string } | undefined> {
  if (data === undefined) return undefined;
  const root = resolve(data);
  // Started by root, the server runs as another user, who must get through.
  await mkdir(root, { recursive: true, mode: 0o711 });
  return { postgres: join(root, 'postgres'), queue: join(root, 'queue') };
}

function settingsOf(url: string, queue: LocalQueue): Readonly<Record<string, string>> {
  return {
    [environment.databaseUrl]: url,
    [environment.queueUrl]: queue.queueUrl,
    [environment.deadLetterQueueUrl]: queue.deadLetterQueueUrl,
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
}
