import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { queue as contract } from '../../../infra/contract.ts';
import { startQueue } from '../../../infra/local/queue.ts';
import { type TestQueue, testQueue } from '../../support/queue.ts';

test('the queue has the attributes of production', async () => {
  await using queue = await testQueue();
  const ask = { QueueUrl: queue.queueUrl, AttributeNames: ['All' as const] };
  const { Attributes } = await queue.sqs.send(new GetQueueAttributesCommand(ask));
  expect(Attributes).toMatchObject({
    FifoQueue: 'true',
    DeduplicationScope: 'messageGroup',
    FifoThroughputLimit: 'perMessageGroupId',
    VisibilityTimeout: String(contract.visibilityTimeoutSeconds),
    MessageRetentionPeriod: '1209600',
  });
  expect(JSON.parse(Attributes?.RedrivePolicy ?? '{}')).toMatchObject({
    maxReceiveCount: contract.maxReceiveCount,
  });
});

test('it listens on the loopback interface only', async () => {
  await using queue = await testQueue();
  const { networkInterfaces } = await import('node:os');
  const outer = Object.values(networkInterfaces())
    .flat()
    .find((address) => address && !address.internal && address.family === 'IPv4');
  if (!outer) return;
  const port = new URL(queue.endpoint).port;
  await expect(fetch(`http://${outer.address}:${port}/`)).rejects.toThrow();
});

test('after a restart what was in hand is delivered again at once, in order', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'lockstep-queue-'));
  try {
    {
      await using queue = await startQueue({ dataDirectory });
      const sqs = queue.client();
      for (const body of ['first', 'second']) {
        await sqs.send(
          new SendMessageCommand({
            QueueUrl: queue.queueUrl,
            MessageBody: body,
            MessageGroupId: '1',
            MessageDeduplicationId: body,
          }),
        );
      }
      const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue.queueUrl, WaitTimeSeconds: 0 }));
      expect(Messages?.map((message) => message.Body)).toEqual(['first']);
      sqs.destroy();
    }
    await using queue = await startQueue({ dataDirectory });
    const sqs = queue.client();
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue.queueUrl, WaitTimeSeconds: 0 }));
    expect(Messages?.map((message) => message.Body)).toEqual(['first']);
    sqs.destroy();
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
});

test('a taken port is named', async () => {
  await using queue = await testQueue();
  const port = Number(new URL(queue.endpoint).port);
  await expect(startQueue({ port })).rejects.toMatchObject({ code: 'LS_PORT_IN_USE' });
});

async function send({ sqs, queueUrl }: TestQueue, messages: readonly (readonly [group: string, body: string])[]) {
  const Entries = messages.map(([group, body], index) => ({
    Id: String(index),
    MessageBody: body,
    MessageGroupId: group,
    MessageDeduplicationId: body,
  }));
  await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
}

async function receive({ sqs, queueUrl }: TestQueue, waitSeconds = 0, most = 10): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    WaitTimeSeconds: waitSeconds,
    MaxNumberOfMessages: most,
  });
  return (await sqs.send(command)).Messages ?? [];
}

const bodies = (messages: readonly Message[]) => messages.map(({ Body }) => Body);
const handles = (messages: readonly Message[]) =>
  messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));

test('a receive takes as many messages of a group as it can, then of the next; a group in hand waits until all are deleted', async () => {
  await using queue = await testQueue();
  await send(queue, [
    ['a', 'a1'],
    ['b', 'b1'],
    ['a', 'a2'],
    ['a', 'a3'],
    ['b', 'b2'],
    ['a', 'a4'],
  ]);
  const first = await receive(queue, 0, 3);
  expect(bodies(first)).toEqual(['a1', 'a2', 'a3']);
  const second = await receive(queue);
  expect(bodies(second)).toEqual(['b1', 'b2']);
  const forget = (messages: readonly Message[]) =>
    queue.sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queue.queueUrl, Entries: handles(messages) }));
  await forget(first.slice(0, 2));
  expect(await receive(queue)).toEqual([]);
  await forget(first.slice(2));
  expect(bodies(await receive(queue))).toEqual(['a4']);
});

test('messages of a group that are given back come again in their order', async () => {
  await using queue = await testQueue();
  await send(
    queue,
    ['1', '2', '3', '4'].map((body) => ['a', body] as const),
  );
  const [one, two, three] = await receive(queue, 0, 3);
  const Entries = handles([one, three, two].flatMap((message) => message ?? [])).map((entry) => ({
    ...entry,
    VisibilityTimeout: 0,
  }));
  await queue.sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queue.queueUrl, Entries }));
  expect(bodies(await receive(queue))).toEqual(['1', '2', '3', '4']);
});

test('of several receives that wait, a message ends one; the others wait on', async () => {
  await using queue = await testQueue();
  let answers = 0;
  const waiting = Array.from({ length: 3 }, async () => {
    const messages = await receive(queue, 20);
    answers += 1;
    return messages;
  });
  await send(queue, [['a', 'first']]);
  expect(bodies(await Promise.race(waiting))).toEqual(['first']);
  await send(queue, [['b', 'second']]);
  const received = (await Promise.all(waiting)).flatMap(bodies);
  expect(answers).toBe(3);
  expect(received.sort()).toEqual(['first', 'second']);
});
