import pg from 'pg';
import { expect, test } from 'vitest';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { migration } from '../../sql/migration.ts';
import { eventually } from '../support/eventually.ts';
import { photomemory } from '../support/photomemory.ts';
import { testQueue } from '../support/queue.ts';
import { lockstep, start } from './lockstep.ts';

/** A server of its own, ready to be captured from, and what `lockstep listen` needs to find it. */
async function machine(settings: Record<string, string>) {
  await using started = new AsyncDisposableStack();
  const postgres = started.use(await startPostgres({ fsync: false, settings }));
  const queue = started.use(await testQueue());
  const pool = started.adopt(new pg.Pool({ connectionString: postgres.url() }), (opened) => opened.end());
  pool.on('error', () => {});
  await photomemory.build(pool);
  await ensurePublication(pool, 'forward', migration.forward);
  const env = {
    LOCKSTEP_DATABASE_URL: postgres.url(),
    LOCKSTEP_QUEUE_URL: queue.queueUrl,
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  const parts = started.move();
  return { pool, env, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** `lockstep listen` refuses with this code, says what is wrong (of what), what it means, and what to do. */
async function refuses(env: Record<string, string>, code: string, what: RegExp, remedy: RegExp): Promise<void> {
  const { code: exitCode, stdout, stderr } = await lockstep(['listen'], env);
  expect([exitCode, stdout]).toEqual([2, '']);
  const [said, data, todo, name, ...more] = stderr
    .trimEnd()
    .split('\n')
    .filter((line) => !/ (info|warn) /.test(line));
  expect(said, stderr).toMatch(what);
  expect(data).toMatch(/^ {2}For the data: {2}\S/);
  expect(todo).toMatch(/^ {2}Do this: {7}\S/);
  expect(todo).toMatch(remedy);
  expect([name, more]).toEqual([`  (${code})`, []]);
}

test('a server without logical WAL', { timeout: 300_000 }, async () => {
  await using refusing = await machine({ wal_level: 'replica' });
  await refuses(refusing.env, 'LS_WAL_LEVEL', /wal_level.*replica/, /wal_level = logical and restart/);
});

test('no publication, no primary key, no privilege, a second listener; a lost slot is made anew', {
  timeout: 300_000,
}, async () => {
  await using refusing = await machine({ max_slot_wal_keep_size: '1MB', max_wal_size: '32MB', min_wal_size: '32MB' });
  const { pool, env } = refusing;

  await pool.query('DROP PUBLICATION lockstep_forward');
  await refuses(env, 'LS_PUBLICATION_MISSING', /publication "?lockstep_forward/i, /lockstep migrate/);
  await ensurePublication(pool, 'forward', migration.forward);

  await pool.query('ALTER TABLE photos DROP CONSTRAINT photos_pkey');
  await refuses(env, 'LS_SOURCE_KEY', /public\.photos/, /ADD PRIMARY KEY/);
  await pool.query('ALTER TABLE photos ADD PRIMARY KEY (id)');

  await pool.query(`CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA lockstep TO plain;
    GRANT ALL ON ALL TABLES IN SCHEMA lockstep TO plain`);
  const asPlain = new URL(env.LOCKSTEP_DATABASE_URL);
  [asPlain.username, asPlain.password] = ['plain', 'plain'];
  const plain = { ...env, LOCKSTEP_DATABASE_URL: asPlain.href };
  await refuses(plain, 'LS_REPLICATION_PRIVILEGE', /may not replicate/, /ALTER ROLE .* REPLICATION/);

  {
    await using first = start(['listen'], env);
    await first.event('capturing');
    await refuses(env, 'LS_LISTENER_RUNNING', /in use by the server's process \d+/, /standby/);
    first.process.kill('SIGTERM');
    expect(await first.ended()).toBe(0);
  }

  await eventually(async () => {
    await pool.query("SELECT pg_switch_wal(), pg_logical_emit_message(false, 'fill', repeat('x', 1000000))");
    await pool.query('CHECKPOINT');
    const { rows } = await pool.query('SELECT wal_status FROM pg_replication_slots');
    return rows[0].wal_status === 'lost';
  });
  const status = await lockstep(['status'], env);
  expect([status.code, status.stdout]).toEqual([1, expect.stringMatching(/lost/)]);
  // A listener makes a new slot, and derives everything again.
  await using healing = start(['listen'], env);
  await healing.event('capturing');
  expect((await pool.query('SELECT wal_status FROM pg_replication_slots')).rows).toEqual([{ wal_status: 'reserved' }]);
  healing.process.kill('SIGTERM');
  expect(await healing.ended()).toBe(0);
});
