import { ChangeMessageVisibilityBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** A message that was received and not finished. */
export interface Unfinished {
  readonly receiptHandle: string;
  /** ApproximateReceiveCount: 1 at the first receipt. */
  readonly receiveCount: number;
}

/** Seconds until a message is tried again: 1, 2, 4 … 60. Its visibility timeout, six function timeouts, would be far too long. */
export function returnAfterSeconds(receiveCount: number): number {
  return Math.min(60, 2 ** Math.min(receiveCount - 1, 6));
}

/**
 * Gives messages (at most 10) back to their queue to be delivered again soon, later the more often they came. Entries
 * that SQS refuses become visible at their visibility timeout anyway. Throws what the SDK throws for the request.
 */
export async function returnMessages(
  client: Pick<SQSClient, 'send'>,
  queueUrl: string,
  messages: readonly Unfinished[],
): Promise<void> {
  if (messages.length === 0) return;
  const Entries = messages.map(({ receiptHandle, receiveCount }, index) => ({
    Id: String(index),
    ReceiptHandle: receiptHandle,
    VisibilityTimeout: returnAfterSeconds(receiveCount),
  }));
  await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries }));
}
