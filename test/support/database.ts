import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import type { PostgresMajor } from '../../infra/local/postgres.ts';
import { eventually } from './eventually.ts';

/** A database that is built once per run and then copied: much faster than building it for each test. */
export interface DatabaseTemplate {
  /** Lower case, unique among templates; what differs in content must differ in name. */
  readonly name: string;
  build(pool: pg.Pool): Promise<void>;
}

export interface TestDatabaseOptions {
  /** Default: the version of the project that runs. */
  readonly major?: PostgresMajor;
  readonly template?: DatabaseTemplate;
  /** Superuser URL of a server of the test's own. Default: the one that all tests share. */
  readonly server?: string;
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly major: PostgresMajor;
  /** Of the superuser. */
  readonly url: string;
  /** At most 10 connections; ended at the end. */
  readonly pool: pg.Pool;
  /** A connected client of its own, ended at the end if the test has not. */
  client(): Promise<pg.Client>;
}

/**
 * A fresh database of this test's own: `await using database = await testDatabase()`.
 * At the end its slots and the database are dropped. A connection or an active slot that the test has left behind
 * fails it.
 */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const major = options.major ?? inject('postgresMajor');
  const server = options.server ?? serverUrl(major);
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  const template = options.template && (await templateDatabase(server, options.template));
  await onServer(server, (admin) => admin.query(`CREATE DATABASE ${name} TEMPLATE ${template ?? 'template0'}`));
  const url = urlOf(server, name);
  const pool = openPool(url);
  const clients: pg.Client[] = [];
  return {
    name,
    major,
    url,
    pool,
    async client() {
      const client = new pg.Client({ connectionString: url, application_name: 'test' });
      tolerate(client);
      clients.push(client);
      await client.connect();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...clients.map((client) => client.end()), pool.ended ? undefined : pool.end()]);
      await onServer(server, (admin) => drop(admin, name));
    },
  };
}

/** Superuser URL of a running server, for a test that is about roles or several databases. */
export function serverUrl(major: PostgresMajor = inject('postgresMajor')): string {
  const url = inject('postgresUrls')[major];
  if (url === undefined) throw new Error(`No PostgreSQL ${major} runs for this project; see test/support/servers.ts`);
  return url;
}

async function templateDatabase(server: string, { name, build }: DatabaseTemplate): Promise<string> {
  const database = pg.escapeIdentifier(`template_${name}`);
  await onServer(server, async (admin) => {
    await admin.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [database]);
    const known = await admin.query('SELECT FROM pg_database WHERE datname = $1 AND datistemplate', [
      `template_${name}`,
    ]);
    if (known.rowCount) return;
    // Left by a build that failed.
    await admin.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${database} TEMPLATE template0`);
    const pool = openPool(urlOf(server, `template_${name}`));
    try {
      await build(pool);
    } finally {
      await pool.end();
    }
    await admin.query(`ALTER DATABASE ${database} IS_TEMPLATE true`);
    await eventually(() => unused(admin, `template_${name}`));
  });
  return database;
}

async function unused(admin: pg.Client, name: string): Promise<boolean> {
  const found = await admin.query('SELECT FROM pg_stat_activity WHERE datname = $1', [name]);
  return found.rowCount === 0;
}

async function drop(admin: pg.Client, name: string): Promise<void> {
  const leaks = async () => {
    // An ended connection's backend takes a moment to go; an autovacuum worker is not the test's.
    const found = await admin.query<{ leak: string }>(
      `SELECT format('%s %s: %s', backend_type, application_name, left(query, 200)) AS leak
         FROM pg_stat_activity WHERE datname = $1 AND backend_type IN ('client backend', 'walsender')
       UNION ALL
       SELECT format('active slot %s', slot_name) FROM pg_replication_slots WHERE database = $1 AND active`,
      [name],
    );
    return found.rows.map((row) => row.leak);
  };
  await eventually(async () => (await leaks()).length === 0, { timeoutMs: 3_000 }).catch(() => undefined);
  const found = await leaks();
  await admin.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [name]);
  await admin.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1', [name]);
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  if (found.length > 0) throw new Error(`The test has left behind in ${name}:\n${found.join('\n')}`);
}

async function onServer<T>(server: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: server, application_name: 'test support' });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

function openPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 10, application_name: 'test' });
  tolerate(pool);
  return pool;
}

/** An idle connection that a test has had terminated is not an error of the test; a query on it would be. */
function tolerate(connected: { on(event: 'error', listener: () => void): unknown }): void {
  connected.on('error', () => {});
}

function urlOf(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}
