import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetQueueAttributesCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { queue as contract } from '../../../infra/contract.ts';
import { startQueue } from '../../../infra/local/queue.ts';
import { testQueue } from '../../support/queue.ts';

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
