import { randomUUID } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { testQueue } from '../support/queue.ts';
import { lockstep, older, start } from './lockstep.ts';

type Settings = Record<string, string>;

/** A database with the legacy schema, migrated by the command itself. */
async function migrated(): Promise<{ database: TestDatabase; settings: Settings }> {
  const database = await testDatabase();
  const settings = { LOCKSTEP_DATABASE_URL: database.url };
  const { code, stderr } = await lockstep(['migrate', '--legacy'], settings);
  expect([code, stderr]).toEqual([0, '']);
  return { database, settings };
}

async function addUser(database: TestDatabase): Promise<string> {
  const id = randomUUID();
  await database.pool.query('INSERT INTO users (id, email) VALUES ($1, $2)', [id, `${id}@example.org`]);
  return id;
}

async function json(args: readonly string[], settings: Settings) {
  const { code, stdout, stderr } = await lockstep([...args, '--json'], settings);
  return { code, stderr, result: JSON.parse(stdout.trimEnd().split('\n').at(-1) || 'null') };
}

beforeAll(() => expect(process.versions.node).toMatch(/^2[4-9]/));

test('commands before `migrate`, and without a listener, say what to do', async () => {
  await using fresh = await testDatabase();
  const none = await lockstep(['status'], { LOCKSTEP_DATABASE_URL: fresh.url });
  expect([none.code, none.stderr]).toEqual([2, expect.stringMatching(/LS_NOT_MIGRATED/)]);
  const { database, settings } = await migrated();
  await using _ = database;
  const waited = await lockstep(['wait'], settings);
  expect([waited.code, waited.stderr]).toEqual([2, expect.stringMatching(/LS_SLOT_MISSING/)]);
  const status = await json(['status'], settings);
  expect(status.result).toMatchObject({ phase: 'forward', slot: null, listener: null, backfill: [], validation: null });
  expect(status.result.findings[0].text).toMatch(/listener has never run/);
  expect((await json(['migrate', '--legacy'], settings)).result).toMatchObject({ steps: [], publication: 'unchanged' });
});

test('from a legacy change to a validated target, every command on the way', { timeout: 180_000 }, async () => {
  const { database, settings } = await migrated();
  await using _ = database;
  await using queue = await testQueue();
  const env = {
    ...settings,
    LOCKSTEP_QUEUE_URL: queue.queueUrl,
    LOCKSTEP_DEAD_LETTER_QUEUE_URL: queue.deadLetterQueueUrl,
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  const before = await addUser(database);
  await using listener = start(['listen'], env);
  await using applier = start(['apply', '--concurrency', '2'], env);
  await listener.event('capturing');
  await applier.event('applying');
  const second = await lockstep(['listen'], env);
  expect([second.code, second.stderr]).toEqual([2, expect.stringMatching(/LS_LISTENER_RUNNING/)]);
  const after = await addUser(database);

  expect((await json(['wait'], env)).code).toBe(0);
  const { rows } = await database.pool.query('SELECT user_id FROM user_subscriptions ORDER BY user_id');
  expect(rows.map(({ user_id }) => user_id)).toEqual([before, after].sort());
  const well = await json(['status'], env);
  expect([well.code, well.result.findings]).toEqual([0, []]);
  expect((await lockstep(['status'], env)).stdout).toMatch(
    /phase +forward\nlag .*slot .* read, reserved.*user_subscriptions .*100%/s,
  );
  expect((await json(['validate'], env)).result).toMatchObject({ agrees: true, event: 'validated' });

  await database.pool.query(`UPDATE user_subscriptions SET status = 'cancelled' WHERE user_id = $1`, [after]);
  const differs = await lockstep(['validate', '--target', 'user_subscriptions'], env);
  expect([differs.code, differs.stdout]).toEqual([
    1,
    expect.stringMatching(/user_subscriptions +DIFFERS.*different in status/s),
  ]);
  expect((await lockstep(['status'], env)).stdout).toMatch(/validation +differs, 1 row.*, some targets only/);
  const again = await json(['backfill', '--target', 'user_subscriptions'], env);
  expect(again.stderr).toBe('');
  expect((await json(['validate'], env)).code).toBe(0);

  await database.pool.query(`UPDATE users SET subscription_plan = 'gold' WHERE id = $1`, [after]);
  expect((await json(['wait'], env)).code).toBe(0);
  const quarantined = await json(['retry'], env);
  expect([quarantined.code, quarantined.result]).toEqual([1, expect.objectContaining({ tried: 1, remaining: 1 })]);
  await database.pool.query(
    `INSERT INTO subscription_plans (id, name, price_cents, billing_interval) VALUES ('gold', 'Gold', 1, 'month')`,
  );
  expect((await json(['retry'], env)).result).toMatchObject({ tried: 1, remaining: 0 });
  expect((await json(['validate'], env)).code).toBe(0);

  const ofRows = async () => (await json(['status'], env)).result.validation;
  const validated = await ofRows();
  expect(validated).toMatchObject({ verdict: 'agrees', rowsDrifted: 0, samplePercent: null, whole: true });
  // Counts that agree are no answer for rows.
  expect((await json(['validate', '--counts'], env)).code).toBe(0);
  expect((await ofRows()).startedAt).toBe(validated.startedAt);

  listener.process.kill('SIGTERM');
  expect(await listener.ended()).toBe(0);
  const down = await json(['status'], env);
  expect([down.code, down.result.findings[0].text]).toEqual([1, expect.stringMatching(/No listener is connected/)]);
  await addUser(database);
  const late = await lockstep(['wait', '--timeout', '0.3'], env);
  expect([late.code, late.stdout]).toEqual([1, expect.stringMatching(/the listener has not read so far/)]);
  applier.process.kill('SIGTERM');
  expect(await applier.ended()).toBe(0);
});

test('what was in flight is forgotten by a new run, whatever else has not ended', async () => {
  const { database, settings } = await migrated();
  await using _ = database;
  const { pool } = database;
  await addUser(database);
  const open = randomUUID();
  await pool.query(`INSERT INTO lockstep.backfill (id, direction, reason) VALUES ($1, 'forward', 'operator')`, [open]);
  await pool.query(
    `INSERT INTO lockstep.backfill_target (backfill_id, target, ordinal) VALUES ($1, 'media_files', 1)`,
    [open],
  );
  const lost = `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
                VALUES (gen_random_uuid(), 'forward', 'changes', 0, '0/1', now(), 1)`;
  await pool.query(lost);
  const runs = async () =>
    (await pool.query('SELECT count(*)::int AS runs, count(finished_at)::int AS ended FROM lockstep.backfill')).rows[0];

  expect((await json(['backfill', '--forget-in-flight'], settings)).result.outcome).toBe('finished');
  expect(await runs()).toEqual({ runs: 2, ended: 2 });
  expect((await pool.query('SELECT FROM lockstep.in_flight')).rowCount).toBe(0);

  // Asked for again after a Ctrl-C it goes on with the run that forgets, instead of adding one.
  await pool.query(lost);
  await pool.query(`UPDATE lockstep.backfill SET finished_at = NULL, forgets_up_to_seq = 99 WHERE id <> $1`, [open]);
  expect((await json(['backfill', '--forget-in-flight'], settings)).result.outcome).toBe('finished');
  expect(await runs()).toEqual({ runs: 2, ended: 2 });
});

test('a process whose parent is gone ends by itself', async () => {
  const { database, settings } = await migrated();
  await using _ = database;
  // On an older Node bin.js starts another process, and tells it by a channel that it lives.
  await using watching = start(['status', '--watch', '--interval', '0.1'], settings, older);
  await watching.event('status');
  const connections = async () => {
    const { rowCount } = await database.pool.query(
      "SELECT FROM pg_stat_activity WHERE application_name = 'lockstep status' AND datname = current_database()",
    );
    return rowCount;
  };
  expect(await connections()).toBe(1);
  watching.process.kill('SIGKILL');
  await eventually(async () => (await connections()) === 0);
});
