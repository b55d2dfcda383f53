import { PurgeQueueCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import type { Telemetry } from '../../engine/telemetry.ts';
import { countMessages } from '../../infra/sqs/count.ts';
import { eventually } from '../support/eventually.ts';
import { startApplying, startListening, stillWorld, type World } from './world.ts';

const impatient = { lostAfterMs: 1_500, lookForLostEveryMs: 100, idleConfirmMs: 50 };

/** A world whose first backfill is done, whose log is kept, and where nobody applies any more. */
async function world() {
  await using started = new AsyncDisposableStack();
  const still = started.use(await stillWorld());
  const told: string[] = [];
  const telemetry: Telemetry = { log: (_, event) => void told.push(event), measure() {} };
  const quiet: World = { ...still, telemetry };
  const { deadLetterQueueUrl } = still.queue;
  started.use(await startListening(quiet, undefined, { limits: impatient, deadLetterQueueUrl }));
  {
    await using _applying = await startApplying(quiet);
    await quiet.sync();
  }
  const parts = started.move();
  const inQueue = () => countMessages(still.queue.sqs, still.queue.queueUrl);
  return { ...quiet, told, inQueue, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const writes = `INSERT INTO users (id, email) SELECT md5('u' || n)::uuid, n || '@mail.example' FROM generate_series(1, 40) n`;
const runs = async ({ database }: World) =>
  (
    await database.pool.query(
      'SELECT reason, finished_at IS NOT NULL AS finished FROM lockstep.backfill ORDER BY requested_at',
    )
  ).rows;
const first = { reason: 'first start', finished: true };

/** By a run that has ended; on a busy machine a second one may follow, in which nothing is left to do. */
async function expectMadeGood(w: World): Promise<void> {
  const [before, ...after] = await runs(w);
  expect(before).toEqual(first);
  expect(after.length).toBeGreaterThan(0);
  expect(after.every(({ reason, finished }) => reason === 'messages lost' && finished)).toBe(true);
}

test('a purged queue is noticed, told of and made good; the watermark waits for it', { timeout: 120_000 }, async () => {
  await using w = await world();
  await w.app.query(writes);
  await eventually(async () => (await w.inQueue()) > 0);
  await w.queue.sqs.send(new PurgeQueueCommand({ QueueUrl: w.queue.queueUrl }));
  await using _applying = await startApplying(w);
  await w.sync();
  expect(w.told).toContain('queue.messages-lost');
  await expectMadeGood(w);
});

test('a queue that is only slow is no lost queue', { timeout: 120_000 }, async () => {
  await using w = await world();
  await w.app.query(writes);
  await eventually(async () => (await w.inQueue()) > 0);
  // Far longer than a message may be in flight before it is suspected.
  await eventually(() => w.told.filter((event) => event === 'queue.probed').length > 30, { timeoutMs: 60_000 });
  {
    await using _applying = await startApplying(w);
    await w.sync();
  }
  expect(w.told).not.toContain('queue.messages-lost');
  expect(await runs(w)).toEqual([first]);
});

test('while a dead letter may be the one that is missed, it is told of and nothing struck out', {
  timeout: 120_000,
}, async () => {
  await using w = await world();
  const letter = { QueueUrl: w.queue.deadLetterQueueUrl, MessageGroupId: 'g', MessageDeduplicationId: 'd' };
  await w.queue.sqs.send(new SendMessageCommand({ ...letter, MessageBody: 'a message that was received too often' }));
  await w.app.query(writes);
  await eventually(async () => (await w.inQueue()) > 0);
  await w.queue.sqs.send(new PurgeQueueCommand({ QueueUrl: w.queue.queueUrl }));
  await using _applying = await startApplying(w);
  await eventually(() => w.told.includes('queue.messages-missing'), { timeoutMs: 60_000 });
  expect(
    (await w.database.pool.query(`SELECT FROM lockstep.in_flight WHERE commit_lsn > '0/0'`)).rowCount,
  ).toBeGreaterThan(0);
  await w.queue.sqs.send(new PurgeQueueCommand({ QueueUrl: w.queue.deadLetterQueueUrl }));
  await w.sync();
  await expectMadeGood(w);
});

test('a backfill whose message was lost is sent again and goes on', { timeout: 120_000 }, async () => {
  await using w = await world();
  await w.app.query(writes);
  await w.app.query('TRUNCATE media_items');
  const rows = await eventually(async () => {
    const entries = await w.database.pool.query(`SELECT id FROM lockstep.in_flight WHERE kind = 'truncate'`);
    return entries.rowCount && (await w.inQueue()) > 0 && entries.rows;
  });
  // As if its first part had been applied, and the message with the rest of it purged.
  await w.database.pool.query(
    `WITH begun AS (INSERT INTO lockstep.backfill (id, direction, reason) VALUES ($1, 'forward', 'truncate') RETURNING id)
     INSERT INTO lockstep.backfill_target (backfill_id, target, ordinal) SELECT id, 'media_files', 0 FROM begun`,
    [rows[0]?.id],
  );
  await w.queue.sqs.send(new PurgeQueueCommand({ QueueUrl: w.queue.queueUrl }));
  await using _applying = await startApplying(w);
  await w.sync();
  expect(w.told).toContain('backfill.sent-again');
});

test('the message of a first backfill that nobody has begun is sent again, and no other one made', {
  timeout: 120_000,
}, async () => {
  await using still = await stillWorld();
  const told: string[] = [];
  const w: World = { ...still, telemetry: { log: (_, event) => void told.push(event), measure() {} } };
  await w.app.query(writes);
  const { sqs, queueUrl, deadLetterQueueUrl } = w.queue;
  await using _listening = await startListening(w, undefined, { limits: impatient, deadLetterQueueUrl });
  await eventually(async () => (await countMessages(sqs, queueUrl)) > 0);
  // Within the five minutes in which a queue remembers its deduplication id.
  await sqs.send(new PurgeQueueCommand({ QueueUrl: queueUrl }));
  await using _applying = await startApplying(w);
  await eventually(() => told.includes('backfill.sent-again'), { timeoutMs: 60_000 });
  await w.sync();
  expect(await runs(w)).toEqual([first]);
  expect(told).not.toContain('queue.messages-lost');
});
