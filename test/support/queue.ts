import type { SQSClient } from '@aws-sdk/client-sqs';
import { type LocalQueue, startQueue } from '../../infra/local/queue.ts';

export interface TestQueue extends LocalQueue {
  /** Destroyed at the end. */
  readonly sqs: SQSClient;
}

/** An emulator of this test's own with empty queues: `await using queue = await testQueue()`. */
export async function testQueue(): Promise<TestQueue> {
  const queue = await startQueue();
  const sqs = queue.client();
  const stop = async () => {
    sqs.destroy();
    await queue.stop();
  };
  return { ...queue, sqs, stop, [Symbol.asyncDispose]: stop };
}
