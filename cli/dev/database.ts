import pg from 'pg';
import { quote } from '../../engine/identifiers.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import type { DevHooks } from '../../engine/migration/dev.ts';
import { migrate } from '../../engine/steps/migrate.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { environment } from '../../infra/contract.ts';
import type { LocalPostgres } from '../../infra/local/postgres.ts';
import { type Database, openDatabase } from '../../infra/postgres/database.ts';

export interface DevDatabaseOptions {
  readonly server: LocalPostgres;
  readonly migration: Migration;
  readonly folder: string;
  readonly hooks: DevHooks;
  readonly users: number;
  readonly telemetry: Telemetry;
  /** Told what is being done, for people who wait. */
  readonly onStep: (text: string) => void;
}

export interface DevDatabase extends AsyncDisposable {
  readonly url: string;
  readonly database: Database;
}

/** A database that has been seeded says so in its comment. */
const seededComment = 'lockstep dev: seeded';

/**
 * The migration's database on a local server: made, migrated (legacy schema included) and seeded as far as an earlier run
 * has not done so.
 */
export async function prepareDatabase(options: DevDatabaseOptions): Promise<DevDatabase> {
  const { server, migration, folder, hooks, users, telemetry, onStep } = options;
  await createDatabase(server, migration.name);
  const url = server.url(migration.name);
  const env = { [environment.databaseUrl]: url };
  const database = await openDatabase({ applicationName: 'lockstep dev', env, telemetry, max: 6 });
  try {
    onStep('applying the numbered SQL');
    const client = await database.pool.connect();
    try {
      await migrate({ client, migration, folder, legacy: true, telemetry });
      if (hooks.seed && !(await isSeeded(client))) {
        onStep(`seeding the legacy tables for ${users} users`);
        await hooks.seed(client, { users });
        // The backfill's estimates come from it; autovacuum would do it in its own time.
        await client.query('ANALYZE');
        await client.query(`COMMENT ON DATABASE ${quote(migration.name)} IS '${seededComment}'`);
      }
    } finally {
      client.release(true);
    }
  } catch (error) {
    await database.close();
    throw error;
  }
  return { url, database, [Symbol.asyncDispose]: () => database.close() };
}

async function createDatabase(server: LocalPostgres, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() });
  // A connection that breaks also fails the query on it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const known = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (known.rowCount === 0) await client.query(`CREATE DATABASE ${quote(name)}`);
  } finally {
    await client.end();
  }
}

async function isSeeded(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ seeded: boolean | null }>(
    `SELECT shobj_description(oid, 'pg_database') = $1 AS seeded FROM pg_database WHERE datname = current_database()`,
    [seededComment],
  );
  return rows[0]?.seeded === true;
}
