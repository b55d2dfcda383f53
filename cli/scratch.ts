import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type CheckReport, checkMigration } from '../engine/check/check.ts';
import { quote } from '../engine/identifiers.ts';
import type { Migration } from '../engine/migration/contract.ts';
import { readSteps } from '../engine/steps/folder.ts';
import { engineFolder } from '../engine/steps/migrate.ts';
import { runSteps } from '../engine/steps/run.ts';
import { silent } from '../engine/telemetry.ts';
import { type LocalPostgres, startPostgres } from '../infra/local/postgres.ts';
import { loadHooks } from './dev/hooks.ts';
import { loadMigration } from './migration-folder.ts';

/** A database of its own on this machine, gone when it is disposed of. */
export interface Scratch extends AsyncDisposable {
  readonly migration: Migration;
  /** Of a superuser. */
  readonly pool: pg.Pool;
  /** What `lockstep check` says of the migration; uses another database. */
  check(): Promise<CheckReport>;
}

/**
 * Starts an embedded PostgreSQL with the migration of `folder`: its numbered SQL applied, the legacy schema included, and
 * all tables empty. For tests of a migration, and for `lockstep check`.
 * Throws what `loadMigration`, `startPostgres` and `runSteps` throw.
 */
export async function openScratch(folder: string): Promise<Scratch> {
  const migration = await loadMigration(folder);
  const { seed } = await loadHooks(folder);
  await using parts = new AsyncDisposableStack();
  const server = parts.use(await startPostgres({ fsync: false }));
  const pool = await openDatabase(server, migration, folder, parts);
  const kept = parts.move();
  return {
    migration,
    pool,
    async check() {
      await using more = new AsyncDisposableStack();
      const other = await openDatabase(server, migration, folder, more);
      return await checkMigration({ pool: other, migration, ...(seed && { seed }) });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A new database with the engine's and the migration's steps, but without a publication: its sources may be unfit. */
async function openDatabase(
  server: LocalPostgres,
  migration: Migration,
  folder: string,
  parts: AsyncDisposableStack,
): Promise<pg.Pool> {
  const name = `scratch_${randomUUID().slice(0, 8)}`;
  const admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  try {
    await admin.query(`CREATE DATABASE ${quote(name)}`);
  } finally {
    await admin.end();
  }
  const pool = new pg.Pool({ connectionString: server.url(name), max: 4, application_name: 'lockstep scratch' });
  pool.on('error', () => {});
  parts.defer(() => pool.end());
  const client = await pool.connect();
  try {
    const files = [...(await readSteps('engine', engineFolder)), ...(await readSteps(migration.name, folder))];
    await runSteps({ client, files, phase: 'forward', legacy: true, telemetry: silent });
  } finally {
    // Steps may have changed the session's settings.
    client.release(true);
  }
  return pool;
}
