import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { checkout, type Event, isAlive, lockstep, start } from './lockstep.ts';

const minutes = 60_000;

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function refusesConnections(url: string): Promise<boolean> {
  const { port } = new URL(url);
  return await new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true));
    socket.on('connect', () => socket.destroy());
  });
}

/** A port that is free may be taken at once, by a test beside this one; it is not kept for long. */
async function nothingListens({ databaseUrl, endpoint, dashboardUrl }: Event): Promise<void> {
  for (const url of [databaseUrl, endpoint, dashboardUrl]) {
    await eventually(() => refusesConnections(url), { timeoutMs: 60_000 });
  }
}

/** It ends by itself, and both sides agree. What it says otherwise is part of the failure. */
async function endsWell(dev: ReturnType<typeof start>, timeoutMs: number): Promise<Event> {
  const code = await dev.ended(timeoutMs);
  const summary = dev.events.find(({ event }) => event === 'summary');
  const said = { code, summary, stderr: dev.stderr() };
  expect(said, JSON.stringify(said)).toMatchObject({ code: 0, summary: { agrees: true, reasons: [] } });
  return summary ?? {};
}

/** Process ids of everything that a process has started, and that those have. */
function descendants(pid: number): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const childrenOf = (parent: number): number[] =>
    pairs.filter(([, ppid]) => ppid === parent).flatMap(([child = 0]) => [child, ...childrenOf(child)]);
  return childrenOf(pid);
}

test('traffic, drain, validation, summary, and nothing left behind', { timeout: 3 * minutes }, async () => {
  await using dev = start(['dev', '--duration', '3', '--users', '20', '--traffic', '20']);
  const ready = await dev.event('ready', 2 * minutes);
  expect(dev.events[0]).toEqual({
    event: 'ready',
    version: 1,
    databaseUrl: expect.stringMatching(/^postgresql:\/\/postgres:\w+@127\.0\.0\.1:\d+\/photomemory/),
    queueUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/000000000000\/lockstep\.fifo$/),
    endpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    dashboardUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/),
  });
  const { rows } = await withClient(ready.databaseUrl, (client) => client.query('SHOW data_directory'));
  const children = descendants(dev.process.pid ?? 0);
  expect(children.length).toBeGreaterThan(3);
  const summary = await endsWell(dev, 2 * minutes);
  expect(summary.legacy.errors).toBe(0);
  expect(summary.legacy.transactions).toBeGreaterThan(20);
  expect(summary.messages.sent).toBeGreaterThan(0);
  expect(summary.merges.scopes).toBeGreaterThan(0);
  expect(summary.lagMs.p99).toBeGreaterThanOrEqual(summary.lagMs.p50);
  expect(summary.targets.map(({ target }: Event) => target)).toEqual([
    'user_subscriptions',
    'media_files',
    'project_media',
    'generation_jobs',
  ]);
  expect(summary.quarantine.length).toBeGreaterThan(0);
  await eventually(() => children.every((pid) => !isAlive(pid)));
  await nothingListens(ready);
  expect(existsSync(dirname(rows[0].data_directory))).toBe(false);
});

test('commands in another terminal find it; Ctrl-C ends it', { timeout: 3 * minutes }, async () => {
  await using dev = start(['dev', '--traffic', '0', '--users', '20']);
  const ready = await dev.event('ready', 2 * minutes);
  await withClient(ready.databaseUrl, (client) =>
    client.query("DELETE FROM users; UPDATE photos SET mime_type = 'image/x'"),
  );
  const elsewhere = { LOCKSTEP_STATE_DIR: dev.state };
  expect(await lockstep(['wait'], elsewhere)).toMatchObject({ code: 0, stderr: '' });
  expect(await lockstep(['validate'], elsewhere)).toMatchObject({ code: 0, stderr: '' });
  expect((await fetch(ready.dashboardUrl)).status).toBe(200);
  const children = descendants(dev.process.pid ?? 0);
  dev.process.kill('SIGINT');
  expect([await dev.ended(), dev.stderr()]).toEqual([0, '']);
  await eventually(() => children.every((pid) => !isAlive(pid)));
  expect((await lockstep(['wait'], elsewhere)).stderr).toMatch(/LOCKSTEP_DATABASE_URL/);
});

test('kill -9 leaves nothing running, and the same --data goes on where it was', { timeout: 4 * minutes }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'lockstep-data-'));
  // Started by root, the server runs as another user.
  chmodSync(data, 0o711);
  try {
    const args = ['dev', '--data', join(data, 'dev'), '--users', '100', '--traffic', '50'];
    {
      await using dev = start(args);
      const ready = await dev.event('ready', 2 * minutes);
      await eventually(() => dev.events.some(({ legacy }) => legacy?.transactions > 50), { timeoutMs: minutes });
      const children = descendants(dev.process.pid ?? 0);
      dev.process.kill('SIGKILL');
      await eventually(() => children.every((pid) => !isAlive(pid)), { timeoutMs: 30_000 });
      await nothingListens(ready);
    }
    await using dev = start([...args, '--duration', '2']);
    const ready = await dev.event('ready', 2 * minutes);
    const users = await withClient(ready.databaseUrl, (client) => client.query('SELECT FROM users'));
    expect(users.rowCount).toBeGreaterThan(50);
    await endsWell(dev, 2 * minutes);
  } finally {
    rmSync(data, { recursive: true });
  }
});

test('a killed listener is started again and loses nothing', { timeout: 3 * minutes }, async () => {
  await using dev = start(['dev', '--duration', '12', '--users', '20', '--traffic', '30']);
  const ready = await dev.event('ready', 2 * minutes);
  const { rows } = await withClient(ready.databaseUrl, (client) =>
    client.query("SELECT active_pid FROM pg_replication_slots WHERE slot_name LIKE 'lockstep_forward%'"),
  );
  expect(rows).toHaveLength(1);
  const workers = descendants(dev.process.pid ?? 0).filter((pid) =>
    execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).includes('processes/listener.ts'),
  );
  for (const pid of workers) process.kill(pid, 'SIGKILL');
  await endsWell(dev, 2 * minutes);
});

test('a server that crashes and recovers: the machine goes on, and everything agrees', {
  timeout: 3 * minutes,
}, async () => {
  await using dev = start(['dev', '--duration', '30', '--users', '20', '--traffic', '30']);
  const ready = await dev.event('ready', 2 * minutes);
  await dev.event('progress');
  // One of its processes is killed, while the status is being asked for: the server ends all others, too, and recovers.
  const killed = withClient(ready.databaseUrl, async (client) => {
    client.on('error', () => undefined);
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    await client.query('BEGIN; LOCK lockstep.phase');
    const asked = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT phase FROM%'";
    await withClient(ready.databaseUrl, (other) => eventually(async () => (await other.query(asked)).rowCount === 1));
    process.kill(rows[0].pid, 'SIGKILL');
    await client.query('SELECT pg_sleep(60)');
  });
  await expect(killed).rejects.toThrow();
  const before = dev.events.length;
  await eventually(() => dev.events.slice(before).some(({ event }) => event === 'progress'));
  await endsWell(dev, 2 * minutes);
});

test('a port that is taken is said before anything is started', { timeout: 3 * minutes }, async () => {
  await using dev = start(['dev', '--traffic', '0', '--users', '0']);
  const { dashboardUrl, databaseUrl } = await dev.event('ready', 2 * minutes);
  const taken = await lockstep(['dev', '--pg-port', new URL(databaseUrl).port]);
  expect([taken.code, taken.stderr]).toEqual([2, expect.stringMatching(/LS_PORT_IN_USE/)]);
  const page = await lockstep(['dev', '--users', '0', '--dashboard-port', new URL(dashboardUrl).port]);
  expect([page.code, page.stderr]).toEqual([2, expect.stringMatching(/LS_PORT_IN_USE/)]);
});

test("another team's migration folder runs on the same machine", { timeout: 3 * minutes }, async () => {
  const migration = ['--migration', join(checkout, 'test/migrations/warehouse')];
  await using dev = start(['dev', '--traffic', '0', ...migration]);
  const ready = await dev.event('ready', 2 * minutes);
  expect(ready.databaseUrl).toContain('/warehouse');
  const line = `INSERT INTO "Old Shop"."order line" (order_no, "line №", "customer e-mail", sku) VALUES (1, 1, 'a@b.c', 'x')`;
  await withClient(ready.databaseUrl, (client) => client.query(line));
  const elsewhere = { LOCKSTEP_STATE_DIR: dev.state };
  expect(await lockstep(['wait', ...migration], elsewhere)).toMatchObject({ code: 0, stderr: '' });
  const validated = await lockstep(['validate', '--json', ...migration], elsewhere);
  expect([validated.code, validated.stderr]).toEqual([0, '']);
  // A product has a row of stock, which there is none of.
  const compared = JSON.parse(validated.stdout).targets.map((target: Event) => target.compared);
  expect(compared).toEqual([1, 1, 1, 0, 1]);
});
