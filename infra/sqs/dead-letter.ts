import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** A message that cannot be read, as it was received. */
export interface DeadLetter {
  /** Of SQS; the same message set aside twice is kept once. */
  readonly messageId: string;
  readonly group: string;
  readonly body: string;
  /** Why it cannot be read; becomes the message attribute `reason`. */
  readonly reason: string;
}

export interface DeadLetterOptions {
  readonly client: Pick<SQSClient, 'send'>;
  readonly deadLetterQueueUrl: string;
}

/**
 * Sets a message aside in the dead-letter queue. Resolves when that queue has it: only then may it be deleted from the
 * queue it came from. Throws what the SDK throws.
 */
export async function sendDeadLetter(
  { client, deadLetterQueueUrl }: DeadLetterOptions,
  letter: DeadLetter,
): Promise<void> {
  await client.send(
    new SendMessageCommand({
      QueueUrl: deadLetterQueueUrl,
      MessageBody: letter.body,
      MessageGroupId: letter.group,
      MessageDeduplicationId: letter.messageId,
      MessageAttributes: {
        reason: { DataType: 'String', StringValue: letter.reason },
        messageId: { DataType: 'String', StringValue: letter.messageId },
      },
    }),
  );
}
