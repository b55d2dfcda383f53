import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, test } from 'vitest';
import { temporaryRoot } from '../../../infra/local/account.ts';
import { freePort } from '../../../infra/local/port.ts';
import { startPostgres } from '../../../infra/local/postgres.ts';
import { exists } from '../../../infra/local/process.ts';
import { eventually } from '../../support/eventually.ts';

async function scratch() {
  const path = await mkdtemp(join(temporaryRoot(undefined), 'lockstep-test-'));
  return { path, data: join(path, 'data'), [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** What is temporary is made in a directory of this test's own: others are at work in the usual one. */
async function temporaryDirectory() {
  const { path, [Symbol.asyncDispose]: remove } = await scratch();
  await chmod(path, 0o755);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = path;
  return {
    servers: () => readdirSync(path).filter((name) => name.startsWith('lockstep-postgres-')),
    async [Symbol.asyncDispose]() {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      await remove();
    },
  };
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

interface Holder extends Disposable {
  readonly child: ChildProcess;
  readonly server: { readonly pid: number; readonly url: string; readonly dataDirectory: string };
}

/** Another process that starts a server and then just lives. */
async function holder(dataDirectory?: string): Promise<Holder> {
  const program = fileURLToPath(new URL('../../support/hold-postgres.ts', import.meta.url));
  const child = spawn(process.execPath, [program, ...(dataDirectory ? [dataDirectory] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  return {
    child,
    server: JSON.parse(String(line)),
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

/** Processes of a group, from /proc. */
function groupOf(leader: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[2] === String(leader);
      } catch {
        return false;
      }
    })
    .map(Number);
}

const parentOf = (pid: number) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);

test('a stopped server is gone, and its temporary directory too', async () => {
  const server = await startPostgres({ fsync: false });
  expect(await query(server.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await server.stop();
  expect(exists(server.pid)).toBe(false);
  expect(existsSync(server.dataDirectory)).toBe(false);
  await server.stop();
});

test('a server that was killed is not taken for the one that recovers its data', async () => {
  await using directory = await scratch();
  using killed = await holder(directory.data);
  // What says that it is ready is a file, which it leaves behind.
  process.kill(killed.server.pid, 'SIGKILL');
  killed.child.kill('SIGKILL');
  await eventually(() => !exists(killed.server.pid) && killed.child.signalCode !== null);
  await using server = await startPostgres({ fsync: false, dataDirectory: directory.data });
  expect(exists(server.pid)).toBe(true);
  expect(await query(server.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('kept data is there again, under the same password, on the port that is asked for', async () => {
  await using directory = await scratch();
  const first = await startPostgres({ fsync: false, dataDirectory: directory.data });
  await query(first.url(), 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  const port = await freePort();
  await using second = await startPostgres({ fsync: false, dataDirectory: directory.data, port });
  expect(second.port).toBe(port);
  expect(new URL(second.url()).password).toBe(new URL(first.url()).password);
  expect(await query(second.url(), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('settings of the caller are in force', async () => {
  await using server = await startPostgres({ fsync: false, settings: { max_slot_wal_keep_size: '1MB' } });
  expect(await query(server.url(), 'SHOW max_slot_wal_keep_size')).toEqual([{ max_slot_wal_keep_size: '1MB' }]);
});

test('a server does not outlive the process that started it, even when that is killed', async () => {
  using held = await holder();
  const { child, server } = held;
  expect(exists(server.pid)).toBe(true);
  child.kill('SIGKILL');
  await eventually(() => !exists(server.pid));
  await eventually(() => !existsSync(server.dataDirectory));
});

test('data whose process was killed is taken over at once', async () => {
  await using directory = await scratch();
  using held = await holder(directory.data);
  const { child, server } = held;
  await query(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await using next = await startPostgres({ fsync: false, dataDirectory: directory.data });
  expect(await query(next.url(), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('a postmaster that was left alone with the data is stopped first', async () => {
  await using directory = await scratch();
  using held = await holder(directory.data);
  const { child, server } = held;
  await query(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const shell = parentOf(server.pid);
  // Backends that were being forked are in the list for a moment, and gone when their turn comes.
  for (const pid of groupOf(shell)) if (pid !== server.pid && exists(pid)) process.kill(pid, 'SIGKILL');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(exists(server.pid)).toBe(true);
  await using next = await startPostgres({ fsync: false, dataDirectory: directory.data });
  expect(next.pid).not.toBe(server.pid);
  expect(exists(server.pid)).toBe(false);
  expect(await query(next.url(), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('data in use by a living process is left alone', async () => {
  await using directory = await scratch();
  await using server = await startPostgres({ fsync: false, dataDirectory: directory.data });
  await expect(startPostgres({ dataDirectory: directory.data })).rejects.toMatchObject({
    code: 'LS_DATA_DIRECTORY',
    message: expect.stringContaining(`in use by process ${process.pid}`),
  });
  expect(await query(server.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test.runIf(process.getuid?.() === 0)('as root, a directory that the server cannot get to is named', async () => {
  await using directory = await scratch();
  await writeFile(join(directory.path, 'private.txt'), 'not for others');
  await expect(startPostgres({ dataDirectory: directory.data })).rejects.toMatchObject({
    code: 'LS_DATA_DIRECTORY',
    message: expect.stringContaining(`${directory.path} is closed to others`),
  });
  expect(readdirSync(directory.path)).toEqual(['private.txt']);
});

test('a directory that holds something else is left alone', async () => {
  await using directory = await scratch();
  await writeFile(join(directory.path, 'thesis.txt'), 'years of work');
  await expect(startPostgres({ dataDirectory: directory.path })).rejects.toMatchObject({
    code: 'LS_DATA_DIRECTORY',
    message: expect.stringContaining('thesis.txt'),
  });
  expect(readdirSync(directory.path)).toEqual(['thesis.txt']);
});

test('data of another major version is left alone', async () => {
  await using directory = await scratch();
  await (await startPostgres({ fsync: false, major: 15, dataDirectory: directory.data })).stop();
  await expect(startPostgres({ major: 18, dataDirectory: directory.data })).rejects.toMatchObject({
    code: 'LS_DATA_DIRECTORY',
    message: expect.stringMatching(/PostgreSQL 15's; 18 cannot read it/),
  });
  await (await startPostgres({ fsync: false, major: 15, dataDirectory: directory.data })).stop();
});

test('a taken port is named, and nothing is left', async () => {
  await using server = await startPostgres({ fsync: false });
  await using temporary = await temporaryDirectory();
  await expect(startPostgres({ port: server.port })).rejects.toMatchObject({ code: 'LS_PORT_IN_USE' });
  expect(temporary.servers()).toEqual([]);
});

test('a server that does not start says what it said, and nothing is left', async () => {
  await using temporary = await temporaryDirectory();
  await expect(startPostgres({ fsync: false, settings: { shared_buffers: 'plenty' } })).rejects.toMatchObject({
    code: 'LS_LOCAL_POSTGRES',
    message: expect.stringMatching(/did not start.*invalid value for parameter "shared_buffers"/s),
  });
  expect(temporary.servers()).toEqual([]);
});
