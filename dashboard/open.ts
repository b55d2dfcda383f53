import { LockstepError } from '../engine/errors.ts';
import type { Migration } from '../engine/migration/contract.ts';
import type { Telemetry } from '../engine/telemetry.ts';
import { openDatabase } from '../infra/postgres/database.ts';
import type { Cadence } from './feed.ts';
import type { Level } from './model.ts';
import { createReader } from './read.ts';
import { startDashboard } from './server.ts';

export interface OpenOptions {
  readonly migration: Migration;
  /** Names the database; as in `openDatabase`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: the usual one, or a free one when that is taken. */
  readonly port?: number;
  readonly telemetry: Telemetry;
  readonly cadence?: Cadence;
}

export interface OpenDashboard extends AsyncDisposable {
  readonly url: string;
  /** Shows something that the database does not know of among the events. */
  note(level: Level, text: string): void;
}

/** Where the page is when nobody asks for another port, and nobody else is there. */
const usualPort = 4141;
/** A question that takes longer is given up; the page says so and asks again. */
const statementTimeoutMs = 5_000;

/**
 * The page for one database, on a connection of its own that the server itself keeps from writing.
 * Throws LS_PORT_IN_USE, and what `openDatabase` throws.
 */
export async function openDashboard({ migration, env, port, telemetry, cadence }: OpenOptions): Promise<OpenDashboard> {
  const database = await openDatabase({
    applicationName: 'lockstep dashboard',
    ...(env && { env }),
    telemetry,
    max: 1,
    readOnly: true,
    statementTimeoutMs,
  });
  const { host, port: databasePort, database: name } = database.address;
  const reader = createReader({ pool: database.pool, migration, database: `${name} on ${host}:${databasePort}` });
  const options = { read: reader.read, ...(cadence && { cadence }) };
  try {
    const dashboard = await startOnUsualPort(port, options);
    return {
      url: dashboard.url,
      note: (level, text) => reader.note({ atMs: Date.now(), level, text }),
      async [Symbol.asyncDispose]() {
        await dashboard.stop();
        await database.close();
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function startOnUsualPort(port: number | undefined, options: Parameters<typeof startDashboard>[0]) {
  if (port !== undefined) return await startDashboard({ ...options, port });
  try {
    return await startDashboard({ ...options, port: usualPort });
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'LS_PORT_IN_USE') throw error;
    return await startDashboard(options);
  }
}
