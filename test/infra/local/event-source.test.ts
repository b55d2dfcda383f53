import { GetQueueAttributesCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import { expect, test } from 'vitest';
import { type SqsHandler, startEventSource } from '../../../infra/local/event-source.ts';
import { freePort } from '../../../infra/local/port.ts';
import { createSqsClient } from '../../../infra/sqs/client.ts';
import { eventually } from '../../support/eventually.ts';
import { sqsProxy } from '../../support/proxy.ts';
import { type TestQueue, testQueue } from '../../support/queue.ts';

async function send(queue: TestQueue, body: string, group = body) {
  await queue.sqs.send(
    new SendMessageCommand({
      QueueUrl: queue.queueUrl,
      MessageBody: body,
      MessageGroupId: group,
      MessageDeduplicationId: body,
      MessageAttributes: { kind: { DataType: 'String', StringValue: 'test' } },
    }),
  );
}

/** Messages that wait, and messages that are in hand or wait for their visibility timeout. */
async function depth({ sqs, queueUrl }: TestQueue): Promise<[number, number]> {
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['All'] }));
  return [Number(Attributes?.ApproximateNumberOfMessages), Number(Attributes?.ApproximateNumberOfMessagesNotVisible)];
}

function start(queue: TestQueue, handler: SqsHandler, concurrency = 1) {
  return startEventSource({
    client: queue.sqs,
    queueUrl: queue.queueUrl,
    queueArn: queue.queueArn,
    handler,
    concurrency,
    waitSeconds: 1,
  });
}

test('a handler gets what Lambda would hand it, and what it finishes is gone', async () => {
  await using queue = await testQueue();
  await send(queue, 'hello', '7');
  const events: SQSEvent[] = [];
  let remainingMs = 0;
  await using _ = start(queue, async (event, context) => {
    events.push(event);
    remainingMs = context.getRemainingTimeInMillis();
    return undefined;
  });
  await eventually(async () => events.length > 0 && (await depth(queue)).join() === '0,0');
  expect(events).toEqual([
    {
      Records: [
        {
          messageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          receiptHandle: expect.any(String),
          body: 'hello',
          md5OfBody: '5d41402abc4b2a76b9719d911017c592',
          attributes: expect.objectContaining({
            ApproximateReceiveCount: '1',
            MessageGroupId: '7',
            MessageDeduplicationId: 'hello',
            SequenceNumber: expect.stringMatching(/^\d{20}$/),
            SentTimestamp: expect.stringMatching(/^\d{13}$/),
          }),
          messageAttributes: {
            kind: { dataType: 'String', stringValue: 'test', stringListValues: [], binaryListValues: [] },
          },
          eventSource: 'aws:sqs',
          eventSourceARN: queue.queueArn,
          awsRegion: 'us-east-1',
        },
      ],
    },
  ]);
  expect(remainingMs).toBeGreaterThan(50_000);
});

test('what failed stays in the queue, the rest of the batch does not', async () => {
  await using queue = await testQueue();
  for (const body of ['good 1', 'bad', 'good 2']) await send(queue, body);
  const seen = new Set<string>();
  await using _ = start(queue, async ({ Records }) => {
    for (const { body } of Records) seen.add(body);
    return {
      batchItemFailures: Records.filter(({ body }) => body === 'bad').map(({ messageId }) => ({
        itemIdentifier: messageId,
      })),
    };
  });
  await eventually(() => seen.size === 3);
  await eventually(async () => (await depth(queue)).join() === '0,1');
});

test('a handler that throws has finished nothing, and the others go on', async () => {
  await using queue = await testQueue();
  await send(queue, 'bad');
  const seen: string[] = [];
  await using _ = start(queue, async ({ Records }) => {
    seen.push(...Records.map(({ body }) => body));
    if (seen.at(-1) === 'bad') throw new Error('the function broke');
    return undefined;
  });
  await eventually(() => seen.includes('bad'));
  await send(queue, 'good');
  await eventually(async () => seen.includes('good') && (await depth(queue)).join() === '0,1');
});

test('as many batches are in hand as there are pollers; stop waits for them', async () => {
  await using queue = await testQueue();
  const { promise: gate, resolve: open } = Promise.withResolvers<undefined>();
  let inHand = 0;
  const source = start(
    queue,
    async () => {
      inHand++;
      return gate;
    },
    3,
  );
  for (const body of ['a', 'b', 'c']) {
    const before = inHand;
    await send(queue, body);
    await eventually(() => inHand > before);
  }
  expect(inHand).toBe(3);
  let stopped = false;
  const stopping = source.stop().then(() => {
    stopped = true;
  });
  expect(stopped).toBe(false);
  open(undefined);
  await stopping;
  await source.finished;
  expect(await depth(queue)).toEqual([0, 0]);
});

test('a queue that is away is waited for, longer and longer', async () => {
  const client = createSqsClient({
    endpoint: `http://127.0.0.1:${await freePort()}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
  const pauses: number[] = [];
  const { promise: forever } = Promise.withResolvers<void>();
  const clock = { pauseMs: (ms: number) => (pauses.push(ms) < 4 ? Promise.resolve() : forever) };
  const handler = async () => undefined;
  const source = startEventSource({
    client,
    queueUrl: 'http://127.0.0.1:1/0/q.fifo',
    queueArn: 'arn:aws:sqs:us-east-1:0:q.fifo',
    handler,
    concurrency: 1,
    clock,
  });
  await eventually(() => pauses.length === 4);
  await source.stop();
  client.destroy();
  expect(pauses).toEqual([50, 100, 200, 400]);
});

test('a queue that does not exist ends it with an error', async () => {
  await using queue = await testQueue();
  const queueUrl = queue.queueUrl.replace('lockstep', 'nowhere');
  const handler = async () => undefined;
  await using source = startEventSource({
    client: queue.sqs,
    queueUrl,
    queueArn: queue.queueArn,
    handler,
    concurrency: 2,
  });
  await expect(source.finished).rejects.toMatchObject({ code: 'LS_QUEUE_REFUSED' });
});

test('what could not be deleted is delivered again, not lost', async () => {
  await using queue = await testQueue();
  await send(queue, 'once');
  let handled = 0;
  await using proxy = await sqsProxy(queue.endpoint, async ({ action, body }, forward) => {
    if (action === 'DeleteMessageBatch') return { status: 500, body: { __type: 'InternalFailure' } };
    return forward(body);
  });
  const client = createSqsClient({
    endpoint: proxy.endpoint,
    region: queue.region,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
  });
  const handler = async () => {
    handled++;
    return undefined;
  };
  const { queueUrl, queueArn } = queue;
  await using _ = startEventSource({ client, queueUrl, queueArn, handler, concurrency: 1, waitSeconds: 1 });
  await eventually(() => handled === 1);
  expect(await depth(queue)).toEqual([0, 1]);
});
