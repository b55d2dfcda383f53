import { DeleteMessageCommand, type Message, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { TestQueue } from './queue.ts';

/** Takes every message out of the dead-letter queue, one by one: a group hands out its next only when the last is deleted. */
export async function takeDeadLetters({ sqs, deadLetterQueueUrl: QueueUrl }: TestQueue): Promise<Message[]> {
  const taken: Message[] = [];
  for (;;) {
    const ask = { QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 0 };
    const names = { MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All' as const] };
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ ...ask, ...names }));
    if (Messages.length === 0) return taken;
    for (const message of Messages) {
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
      taken.push(message);
    }
  }
}
