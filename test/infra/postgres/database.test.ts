import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, test } from 'vitest';
import { remedyFor } from '../../../engine/sqlstate.ts';
import { freePort } from '../../../infra/local/port.ts';
import { startPostgres } from '../../../infra/local/postgres.ts';
import { openDatabase } from '../../../infra/postgres/database.ts';
import { isDatabaseLost } from '../../../infra/postgres/explain.ts';
import { createSecretCache } from '../../../infra/secrets/cache.ts';
import { testDatabase } from '../../support/database.ts';
import { eventually } from '../../support/eventually.ts';
import { startNetwork } from '../../support/network.ts';

const tlsFile = (name: string) => fileURLToPath(new URL(`./tls/${name}`, import.meta.url));
const open = (url: string, more: Partial<Parameters<typeof openDatabase>[0]> = {}) =>
  openDatabase({ applicationName: 'lockstep-test', env: { LOCKSTEP_DATABASE_URL: url }, ...more });

test('values come as PostgreSQL prints them, whatever the defaults of database and role are', async () => {
  await using database = await testDatabase();
  await database.pool.query(`ALTER DATABASE ${database.name} SET DateStyle = 'German'`);
  await database.pool.query(`ALTER DATABASE ${database.name} SET TimeZone = 'Asia/Tokyo'`);
  await database.pool.query(`ALTER DATABASE ${database.name} SET search_path = 'elsewhere'`);
  await database.pool.query(`ALTER DATABASE ${database.name} SET bytea_output = 'escape'`);
  await using opened = await open(database.url);
  const { rows } = await opened.pool.query(`SELECT
    timestamptz '2026-02-03 04:05:06.123457+00' AS at, date '2026-02-03' AS day, 9007199254740993::bigint AS big,
    1.10::numeric AS amount, 0.1::float8 AS ratio, '\\x00ff'::bytea AS bytes, interval '1 mon 2 days' AS span,
    true AS yes, 7::int AS small, '{"a": 1}'::jsonb AS json, '{a,"b c"}'::text[] AS texts,
    current_setting('search_path') AS path, current_setting('application_name') AS application`);
  expect(rows).toEqual([
    {
      at: '2026-02-03 04:05:06.123457+00',
      day: '2026-02-03',
      big: '9007199254740993',
      amount: '1.10',
      ratio: '0.1',
      bytes: '\\x00ff',
      span: '1 mon 2 days',
      yes: true,
      small: 7,
      json: { a: 1 },
      texts: ['a', 'b c'],
      path: 'public',
      application: 'lockstep-test',
    },
  ]);
});

test('a statement that takes longer than it may is ended', async () => {
  await using database = await testDatabase();
  await using opened = await open(database.url, { statementTimeoutMs: 50 });
  await expect(opened.pool.query('SELECT pg_sleep(30)')).rejects.toMatchObject({ code: '57014' });
});

test('a connection that is lost between two statements ends nothing but itself', async () => {
  await using test = await testDatabase();
  await using database = await open(test.url);
  const client = await database.pool.connect();
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const ended = new Promise<void>((resolve) => client.once('end', resolve));
  await test.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
  await ended;
  await expect(client.query('SELECT')).rejects.toThrow();
  client.release(true);
  expect((await database.pool.query('SELECT 1')).rowCount).toBe(1);
});

test('an answer of a server that is silently gone is not waited for, and the next question finds another connection', async () => {
  await using database = await testDatabase();
  await using network = await startNetwork(database.url);
  await using opened = await open(network.url, { answerTimeoutMs: 2_000, connectTimeoutMs: 2_000 });
  network.fallSilent();
  const lost = await opened.pool.query('SELECT 1').catch((error: unknown) => error);
  expect(lost).toBeInstanceOf(Error);
  expect(isDatabaseLost(lost)).toBe(true);
  expect(remedyFor(lost, false)).toBe('retry');
  network.speak();
  expect((await opened.pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('the password is asked for at each new connection, and fetched again when it was rotated', async () => {
  await using database = await testDatabase();
  const role = `rotating_${database.name}`;
  const rotate = async (password: string) => database.pool.query(`ALTER ROLE ${role} PASSWORD '${password}'`);
  await database.pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'first'`);
  try {
    const { hostname: host, port } = new URL(database.url);
    let stored = 'first';
    let fetches = 0;
    const send = async () => {
      fetches++;
      return { SecretString: JSON.stringify({ username: role, password: stored, host, port, dbname: database.name }) };
    };
    const secrets = createSecretCache({ client: { send: send as never } });
    const env = { LOCKSTEP_DATABASE_SECRET_ARN: 'arn:aws:secretsmanager:eu-west-1:1:secret:db' };
    await using opened = await openDatabase({ applicationName: 'lockstep-test', env, secrets });
    expect(fetches).toBe(1);
    const held = await opened.pool.connect();
    await rotate('second');
    stored = 'second';
    // The pool needs a second connection while the first is held; both ways that pg asks for one.
    expect((await opened.pool.query('SELECT current_user AS me')).rows).toEqual([{ me: role }]);
    expect(fetches).toBe(2);
    held.release(true);
    await rotate('third');
    const others = await Promise.all([opened.pool.connect(), opened.pool.connect().catch((error: unknown) => error)]);
    expect(others[1]).toMatchObject({ code: '28P01' });
    for (const client of others) if (client instanceof pg.Client) (client as pg.PoolClient).release();
  } finally {
    await eventually(async () => {
      const { rowCount } = await database.pool.query('SELECT FROM pg_stat_activity WHERE usename = $1', [role]);
      return rowCount === 0;
    });
    await database.pool.query(`DROP ROLE ${role}`);
  }
});

test('what is wrong with the connection is said in a sentence, never with the password', async () => {
  await using database = await testDatabase();
  const changed = (change: (url: URL) => void) => {
    const url = new URL(database.url);
    url.password = 'not-the-pass';
    change(url);
    return open(url.href).catch((error: Error) => [(error as { code?: string }).code, error.message]);
  };
  const right = new URL(database.url).password;
  const unused = String(await freePort());
  expect(await changed(() => {})).toEqual(['LS_DATABASE_REFUSED', expect.stringContaining('user postgres')]);
  expect(await changed((url) => Object.assign(url, { port: unused }))).toEqual([
    'LS_DATABASE_UNREACHABLE',
    `Nothing listens at 127.0.0.1:${unused}.`,
  ]);
  expect(await changed((url) => Object.assign(url, { pathname: '/nowhere', password: right }))).toEqual([
    'LS_DATABASE_REFUSED',
    expect.stringContaining('no database nowhere'),
  ]);
  expect(await changed((url) => url.searchParams.set('sslmode', 'require'))).toEqual([
    'LS_DATABASE_UNREACHABLE',
    expect.stringContaining('sslmode=require: The server does not support SSL connections'),
  ]);
});

test('both settings at once, or none, are refused', async () => {
  const opening = (env: NodeJS.ProcessEnv) => openDatabase({ applicationName: 'lockstep-test', env });
  await expect(opening({})).rejects.toMatchObject({ code: 'LS_CONFIG' });
  await expect(opening({ LOCKSTEP_DATABASE_URL: 'x', LOCKSTEP_DATABASE_SECRET_ARN: 'y' })).rejects.toMatchObject({
    code: 'LS_CONFIG',
  });
});

test('a server must prove who it is', async () => {
  const key = (await readFile(tlsFile('server.key'), 'utf8')).trim();
  const certificate = (await readFile(tlsFile('server.pem'), 'utf8')).trim();
  await using plain = await startPostgres({ fsync: false });
  await using admin = await open(plain.url());
  const pgdata = join(plain.dataDirectory, 'pgdata');
  // Written by the server itself, so that it owns its key.
  for (const [file, text] of [
    ['server.key', key],
    ['server.crt', certificate],
  ] as const) {
    await admin.pool.query(`COPY (SELECT unnest(string_to_array($$${text}$$, E'\\n'))) TO '${join(pgdata, file)}'`);
  }
  await admin.pool.query(`COPY (SELECT 1) TO PROGRAM 'chmod 600 "${join(pgdata, 'server.key')}"'`);
  await admin.pool.query('ALTER SYSTEM SET ssl = on');
  await admin.pool.query('SELECT pg_reload_conf()');
  const secured = (mode: string, host: string, authority?: string) => {
    const url = new URL(plain.url());
    url.hostname = host;
    url.searchParams.set('sslmode', mode);
    if (authority) url.searchParams.set('sslrootcert', tlsFile(authority));
    return url.href;
  };
  const encrypted = async (url: string) => {
    await using opened = await open(url);
    const { rows } = await opened.pool.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    return rows[0]?.ssl;
  };
  await eventually(() => encrypted(secured('require', '127.0.0.1')));
  expect(await encrypted(secured('verify-full', 'localhost', 'authority.pem'))).toBe(true);
  expect(await encrypted(secured('verify-ca', '127.0.0.1', 'authority.pem'))).toBe(true);
  for (const refused of [
    secured('verify-full', '127.0.0.1', 'authority.pem'),
    secured('verify-full', 'localhost', 'other-authority.pem'),
    secured('verify-ca', 'localhost', 'other-authority.pem'),
    secured('verify-full', 'localhost'),
  ]) {
    await expect(encrypted(refused), refused.replace(/:[^:@]*@/, '@')).rejects.toMatchObject({
      code: 'LS_DATABASE_TLS',
    });
  }
});
