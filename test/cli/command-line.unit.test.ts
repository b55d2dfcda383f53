import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bin, checkout, lockstep, older, run } from './lockstep.ts';

const commands = [
  'dev',
  'new',
  'check',
  'plan',
  'migrate',
  'listen',
  'apply',
  'backfill',
  'status',
  'wait',
  'validate',
  'retry',
  'arm',
  'cutover',
  'rollback',
  'complete',
  'restore',
  'dashboard',
  'completion',
];
const unreachable = 'postgresql://me:s3cr3t@127.0.0.1:1/db';

test('npx finds this checkout, in any of its folders, without asking a registry', async () => {
  const offline = { npm_config_registry: 'http://127.0.0.1:1/', npm_config_fetch_retries: '0' };
  for (const folder of ['.', 'engine/capture']) {
    const { code, stdout } = await run('npx', ['lockstep', '--help'], offline, join(checkout, folder));
    expect([code, stdout]).toEqual([0, expect.stringContaining('Carries a live PostgreSQL schema migration')]);
  }
});

test('an older Node hands over to the one that is installed beside Lockstep', async () => {
  const probe = await run(process.execPath, [...older, '-p', 'process.versions.node']);
  expect(probe.stdout.trim()).toBe('20.11.0');
  const { code, stdout } = await run(process.execPath, [...older, bin, 'wait', '--help']);
  expect([code, stdout]).toEqual([0, expect.stringContaining('Usage: lockstep wait')]);
  const failing = await run(process.execPath, [...older, bin, 'wait'], { LOCKSTEP_DATABASE_URL: unreachable });
  expect(failing.code).toBe(2);
});

test('where no newer Node is installed, it says so instead of trying for ever', async () => {
  const { code, stderr } = await run(process.execPath, [...older, bin, 'wait'], { LOCKSTEP_HANDED_OVER: '1' });
  expect([code, stderr]).toEqual([2, expect.stringMatching(/needs Node 24.*npm ci/s)]);
});

test.each(commands)('%s --help has examples and exits 0', async (name) => {
  const { code, stdout } = await lockstep([name, '--help']);
  expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`Examples:\\n  \\$ lockstep ${name}`))]);
});

test('a default is in the unit that is typed', async () => {
  const defaults = { wait: 60, status: 1, 'rollback sync': 600, plan: 60 };
  for (const [line, expected] of Object.entries(defaults)) {
    const { stdout } = await lockstep([...line.split(' '), '--help']);
    const [, value] = /--(?:timeout|interval) <s>[^(]*\(default:\s+(\d+)\)/.exec(stdout) ?? [];
    expect([line, Number(value)]).toEqual([line, expected]);
  }
});

test('these are all commands that there are, and each of a group has examples, too', async () => {
  const { stdout } = await lockstep(['--help']);
  const listed = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual([...commands].sort());
  for (const name of ['plan', 'sync', 'switch']) {
    const help = await lockstep(['rollback', name, '--help']);
    expect([help.code, help.stdout]).toEqual([0, expect.stringMatching(`Examples:\n  \\$ lockstep rollback ${name}`)]);
  }
});

test.each([
  [['frobnicate'], /unknown command 'frobnicate'/],
  [['wait', '--timeout', 'soon'], /must be a number of seconds above 0/],
  [['dev', '--pg-port', '70000'], /must be a whole number from 1 to 65535/],
  [['validate', '--sample', '100'], /must be a number above 0 and below 100/],
  [['status', 'now'], /too many arguments/],
])('a wrong command line is explained and exits 2: %j', async (args, message) => {
  const { code, stderr } = await lockstep(args);
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
});

test('without a database it says which settings name one', async () => {
  const { code, stderr } = await lockstep(['wait']);
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/LOCKSTEP_DATABASE_URL.*\n {2}For the data: .*\n {2}Do this: /),
  ]);
});

test('an error is three sentences for people and an object for machines, never with a password or a stack', async () => {
  const env = { LOCKSTEP_DATABASE_URL: unreachable };
  const text = await lockstep(['status'], env);
  expect(text.code).toBe(2);
  expect(text.stderr).toMatch(/127\.0\.0\.1:1.*For the data: {2}.*Do this: {7}.*\(LS_DATABASE_UNREACHABLE\)/s);
  expect(text.stderr).not.toMatch(/s3cr3t|\n\s+at /);
  const json = await lockstep(['status', '--json'], env);
  const error = JSON.parse(json.stderr);
  expect(error).toMatchObject({
    event: 'error',
    code: 'LS_DATABASE_UNREACHABLE',
    meaning: expect.any(String),
    remedy: expect.any(String),
  });
  expect(json.stdout + json.stderr).not.toContain('s3cr3t');
  const debug = await lockstep(['status'], { ...env, LOCKSTEP_DEBUG: '1' });
  expect(debug.stderr).toMatch(/\n\s+at /);
  expect(debug.stderr).not.toContain('s3cr3t');
});

test('a server that is none is an error in time', async () => {
  const server = createServer((socket) => socket.on('error', () => {}).end('this is no PostgreSQL\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const { code } = await lockstep(['status'], { LOCKSTEP_DATABASE_URL: `postgresql://me@127.0.0.1:${port}/db` });
  expect(code).toBe(2);
  server.close();
});

test('a migration folder that is none, or exports nothing, is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'folder-'));
  const env = { LOCKSTEP_DATABASE_URL: unreachable };
  const migrate = () => lockstep(['migrate', '--migration', folder], env);
  expect((await migrate()).stderr).toMatch(/has no migration\.ts/);
  writeFileSync(join(folder, 'migration.ts'), 'export const other: number = 1;');
  expect((await migrate()).stderr).toMatch(/does not export a migration.*LS_MIGRATION_INVALID/s);
  writeFileSync(join(folder, 'migration.ts'), "throw new Error('not today');");
  expect((await migrate()).stderr).toMatch(/cannot be imported: not today/);
  rmSync(folder, { recursive: true });
});

test.each([['arm'], ['cutover'], ['rollback', 'switch'], ['rollback', 'sync', '--all']])(
  'where nobody can be asked, %s wants --yes, and says what it was going to do',
  async (...args) => {
    const settings = { LOCKSTEP_DATABASE_URL: unreachable, LOCKSTEP_DEAD_LETTER_QUEUE_URL: 'http://127.0.0.1:1/dead' };
    const { code, stderr } = await lockstep([...args], settings);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/nobody can be asked.*--yes.*LS_UNCONFIRMED/s)]);
  },
);
