import { randomUUID } from 'node:crypto';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSEvent, SQSRecord } from 'aws-lambda';
import pg from 'pg';
import { expect, test } from 'vitest';
import { encode } from '../../engine/message/codec.ts';
import type { Message } from '../../engine/message/message.ts';
import { silent } from '../../engine/telemetry.ts';
import { buildApply } from '../../functions/apply/build.ts';
import { startEventSource } from '../../infra/local/event-source.ts';
import { createPublisher } from '../../infra/sqs/publisher.ts';
import { migration } from '../../sql/migration.ts';
import { serverUrl, type TestDatabase, testDatabase } from '../support/database.ts';
import { changes } from '../support/deliver.ts';
import { eventually } from '../support/eventually.ts';
import { startNetwork } from '../support/network.ts';
import { photomemory } from '../support/photomemory.ts';
import { type TestQueue, testQueue } from '../support/queue.ts';

const minute = { getRemainingTimeInMillis: () => 60_000 };

function handlerOver({ pool }: TestDatabase, { sqs, queueUrl, deadLetterQueueUrl }: TestQueue) {
  return buildApply({ pool, client: sqs, queueUrl, deadLetterQueueUrl, migration, telemetry: silent, concurrency: 2 });
}

async function addUser({ pool }: TestDatabase): Promise<string> {
  const id = randomUUID();
  await pool.query('INSERT INTO users (id, email) VALUES ($1, $2)', [id, `${id}@example.org`]);
  return id;
}

/** Reads one message, without waiting when there is none. */
async function receive({ sqs }: TestQueue, QueueUrl: string) {
  const answer = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl, MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All'] }),
  );
  return answer.Messages?.[0];
}

/**
 * An event of messages that really are in the queue, received once. SQS hands out several of one group together, which
 * the emulator never does: there they have a group each, and only the event says that it is one.
 */
async function receivedEvent(queue: TestQueue, bodies: readonly string[]): Promise<SQSEvent> {
  const publisher = createPublisher({ client: queue.sqs, queueUrl: queue.queueUrl });
  const outgoing = bodies.map((body, index) => ({ deduplicationId: randomUUID(), group: `g${index}`, body }));
  await publisher.publish(outgoing, AbortSignal.timeout(60_000));
  const answer = await queue.sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queue.queueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['All'],
    }),
  );
  const records = (answer.Messages ?? []).map((message) => {
    return {
      messageId: message.MessageId,
      receiptHandle: message.ReceiptHandle,
      body: message.Body,
      attributes: { ...message.Attributes, MessageGroupId: 'g' },
    } as unknown as SQSRecord;
  });
  expect(records.map(({ body }) => body)).toEqual(bodies);
  return { Records: records };
}

async function subscribers({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query('SELECT user_id FROM user_subscriptions');
  return rows.map(({ user_id }) => user_id);
}

test('a message that nobody can read goes to the dead-letter queue with its reason; its neighbours are applied', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const user = await addUser(database);
  const good = encode(await changes(database.pool, { users: [[user]] }));
  const event = await receivedEvent(queue, ['{"version":7}', good]);
  expect(await handlerOver(database, queue)(event, minute)).toEqual({ batchItemFailures: [] });
  expect(await subscribers(database)).toEqual([user]);
  const dead = await receive(queue, queue.deadLetterQueueUrl);
  expect(dead?.Body).toBe('{"version":7}');
  expect(dead?.MessageAttributes?.reason?.StringValue).toMatch(/\w/);
});

test('without the dead-letter queue nothing is dropped: the message stays, with all that follow it in its group', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const user = await addUser(database);
  const good = encode(await changes(database.pool, { users: [[user]] }));
  const event = await receivedEvent(queue, ['not even JSON', good]);
  const handler = handlerOver(database, { ...queue, deadLetterQueueUrl: `${queue.deadLetterQueueUrl}-gone` });
  const ids = event.Records.map(({ messageId }) => ({ itemIdentifier: messageId }));
  expect(await handler(event, minute)).toEqual({ batchItemFailures: ids });
  // Given back: it comes again in a second, and not at its visibility timeout.
  await eventually(async () => (await receive(queue, queue.queueUrl))?.Body === 'not even JSON', { intervalMs: 100 });
});

test('a message that could not be finished in time is delivered again soon, and then is', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const user = await addUser(database);
  const event = await receivedEvent(queue, [encode(await changes(database.pool, { users: [[user]] }))]);
  const handler = handlerOver(database, queue);
  const outOfTime = { getRemainingTimeInMillis: () => 0 };
  expect((await handler(event, outOfTime)).batchItemFailures).toHaveLength(1);
  expect(await subscribers(database)).toEqual([]);
  await using _ = startEventSource({
    client: queue.sqs,
    queueUrl: queue.queueUrl,
    queueArn: queue.queueArn,
    handler,
    concurrency: 1,
  });
  await eventually(async () => (await subscribers(database)).length === 1);
});

test('a backfill that does not fit into one invocation goes on in the next, under another deduplication id', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const users = [await addUser(database), await addUser(database)].sort();
  const message: Message = {
    version: 1,
    kind: 'backfill',
    id: randomUUID(),
    direction: 'forward',
    reason: 'first start',
    targets: ['user_subscriptions'],
  };
  await database.pool.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     VALUES ($1, 'forward', 'backfill', 0, pg_current_wal_lsn(), clock_timestamp(), 0)`,
    [message.id],
  );
  const event = await receivedEvent(queue, [encode(message)]);
  const handler = handlerOver(database, queue);
  const hardlyAny = { getRemainingTimeInMillis: () => 4_000 };
  expect(await handler(event, hardlyAny)).toEqual({ batchItemFailures: [] });
  expect(await subscribers(database)).toEqual([]);
  await using _ = startEventSource({
    client: queue.sqs,
    queueUrl: queue.queueUrl,
    queueArn: queue.queueArn,
    handler,
    concurrency: 1,
  });
  await eventually(async () => (await subscribers(database)).length === 2);
  expect((await subscribers(database)).sort()).toEqual(users);
  await eventually(async () => (await database.pool.query('SELECT FROM lockstep.in_flight')).rowCount === 0);
});

test('a database that is away fails the batch, and the function works again when it is back', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using queue = await testQueue();
  const user = await addUser(database);
  const event = await receivedEvent(queue, [encode(await changes(database.pool, { users: [[user]] }))]);
  const handler = handlerOver(database, queue);
  const admin = new pg.Client({ connectionString: serverUrl() });
  await admin.connect();
  await admin.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS false`);
  await admin.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [database.name]);
  await expect(handler(event, minute)).rejects.toThrow();
  await admin.query(`ALTER DATABASE ${database.name} ALLOW_CONNECTIONS true`);
  await admin.end();
  expect(await handler(event, minute)).toEqual({ batchItemFailures: [] });
  expect(await subscribers(database)).toEqual([user]);
});

test('a database that is away as the catalogs are to be read: the messages come again at once, and nothing is dead', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using network = await startNetwork(database.url);
  await using queue = await testQueue();
  const id = await addUser(database);
  const pool = new pg.Pool({ connectionString: network.url });
  const handler = handlerOver({ ...database, pool }, queue);
  const event = await receivedEvent(queue, [encode(await changes(database.pool, { users: [[id]] }))]);
  const [record] = event.Records;
  const cut = network.cutAtAnswer(1);
  expect(await handler(event, minute)).toEqual({ batchItemFailures: [{ itemIdentifier: record?.messageId }] });
  await cut;
  // Given back: it does not wait for its visibility timeout.
  expect(await eventually(() => receive(queue, queue.queueUrl))).toMatchObject({ Body: record?.body });
  expect(await receive(queue, queue.deadLetterQueueUrl)).toBeUndefined();
  await pool.end();
});
