import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { LockstepError } from '../../engine/errors.ts';

/** Messages of a queue, those that someone has received and not deleted included. Throws LS_QUEUE_REFUSED. */
export async function countMessages(client: Pick<SQSClient, 'send'>, queueUrl: string): Promise<number> {
  const names = [
    'ApproximateNumberOfMessages',
    'ApproximateNumberOfMessagesNotVisible',
    'ApproximateNumberOfMessagesDelayed',
  ] as const;
  try {
    const command = new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: [...names] });
    const { Attributes } = await client.send(command);
    return names.reduce((sum, name) => sum + Number(Attributes?.[name] ?? 0), 0);
  } catch (cause) {
    const message = `The queue ${queueUrl} cannot be read: ${(cause as Error).name}.`;
    throw new LockstepError('LS_QUEUE_REFUSED', message, { cause });
  }
}
