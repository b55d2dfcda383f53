import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { encode } from '../../engine/message/codec.ts';
import { migration } from '../../sql/migration.ts';
import { checkout, run } from '../cli/lockstep.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { changes } from '../support/deliver.ts';
import { eventually } from '../support/eventually.ts';
import { photomemory } from '../support/photomemory.ts';
import { type TestQueue, testQueue } from '../support/queue.ts';

function environment(database: TestDatabase, queue: TestQueue): Record<string, string> {
  return {
    LOCKSTEP_DATABASE_URL: database.url,
    LOCKSTEP_QUEUE_URL: queue.queueUrl,
    LOCKSTEP_DEAD_LETTER_QUEUE_URL: queue.deadLetterQueueUrl,
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
}

/** One batch with one message, handled as Lambda would: the answer is the last line. */
async function invokeApply(database: TestDatabase, queue: TestQueue, user: string, more: Record<string, string> = {}) {
  await database.pool.query("INSERT INTO users (id, email) VALUES ($1, 'a@example.org')", [user]);
  const body = encode(await changes(database.pool, { users: [[user]] }));
  const attributes = { MessageGroupId: 'forward-0', ApproximateReceiveCount: '1' };
  const event = JSON.stringify({ Records: [{ messageId: 'm', receiptHandle: 'r', body, attributes }] });
  const invoke = `
    const { handler } = await import(${JSON.stringify(join(checkout, 'functions/apply/main.ts'))});
    const answer = await handler(${event}, { getRemainingTimeInMillis: () => 60_000 });
    process.stdout.write(JSON.stringify(answer) + '\\n', () => process.exit());`;
  const env = { ...environment(database, queue), ...more };
  return await run(process.execPath, ['--input-type=module', '--eval', invoke], env);
}

test('the apply function, as Lambda loads it, applies a batch and writes its metrics', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const { stdout, stderr } = await invokeApply(database, queue, randomUUID());
  expect(stderr).toBe('');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.at(-1)).toEqual({ batchItemFailures: [] });
  expect(lines.some((line) => line.service === 'apply' && '_aws' in line)).toBe(true);
  expect((await database.pool.query('SELECT FROM user_subscriptions')).rowCount).toBe(1);
});

test('more apply functions at once than the server has locks for do nothing, and say so', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const { stderr } = await invokeApply(database, queue, randomUUID(), { LOCKSTEP_APPLY_CONCURRENCY: '1000' });
  expect(stderr).toContain('LS_LOCK_BUDGET');
  expect(stderr).toContain('1000 concurrent merges');
  expect((await database.pool.query('SELECT FROM lockstep.in_flight')).rowCount).toBe(1);
});

test('the listener, as its container starts it, captures until SIGTERM, and ends with 0', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  await ensurePublication(database.pool, 'forward', migration.forward);
  const child = spawn(process.execPath, [join(checkout, 'functions/listener/main.ts')], {
    env: { PATH: process.env.PATH, ...environment(database, queue) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    const active = `SELECT FROM pg_replication_slots WHERE database = current_database() AND active`;
    await eventually(async () => (await database.pool.query(active)).rowCount === 1, { timeoutMs: 120_000 });
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
});

test('a function without its settings says which one is missing', async () => {
  await using database = await testDatabase({ template: photomemory });
  const env = { LOCKSTEP_DATABASE_URL: database.url };
  for (const name of ['apply', 'listener']) {
    const { code, stderr } = await run(process.execPath, [join(checkout, `functions/${name}/main.ts`)], env);
    expect([code, stderr]).toEqual([1, expect.stringContaining('LOCKSTEP_QUEUE_URL is not set')]);
  }
});
