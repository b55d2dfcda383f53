import { ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { sendDeadLetter } from '../../../infra/sqs/dead-letter.ts';
import { returnMessages } from '../../../infra/sqs/return.ts';
import { eventually } from '../../support/eventually.ts';
import { testQueue } from '../../support/queue.ts';

test('a dead letter keeps its body and says why, once', async () => {
  await using queue = await testQueue();
  const { deadLetterQueueUrl } = queue;
  const letter = { messageId: 'm-1', group: '3', body: '{"version":9}', reason: 'unknown version 9' };
  await sendDeadLetter({ client: queue.sqs, deadLetterQueueUrl }, letter);
  await sendDeadLetter({ client: queue.sqs, deadLetterQueueUrl }, letter);
  const ask = {
    QueueUrl: deadLetterQueueUrl,
    MaxNumberOfMessages: 10,
    MessageAttributeNames: ['All'],
    WaitTimeSeconds: 0,
  };
  const { Messages } = await queue.sqs.send(new ReceiveMessageCommand(ask));
  expect(Messages?.map(({ Body, MessageAttributes }) => [Body, MessageAttributes?.reason?.StringValue])).toEqual([
    ['{"version":9}', 'unknown version 9'],
  ]);
});

test('a returned message is delivered again long before its visibility timeout', async () => {
  await using queue = await testQueue();
  const { queueUrl: QueueUrl } = queue;
  await queue.sqs.send(
    new SendMessageCommand({ QueueUrl, MessageBody: 'x', MessageGroupId: '1', MessageDeduplicationId: '1' }),
  );
  const receive = async () =>
    (await queue.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 0 }))).Messages?.[0];
  const first = await receive();
  await returnMessages(queue.sqs, QueueUrl, [{ receiptHandle: first?.ReceiptHandle ?? '', receiveCount: 1 }]);
  const again = await eventually(receive, { timeoutMs: 5_000, intervalMs: 50 });
  expect(again.MessageId).toBe(first?.MessageId);
});
