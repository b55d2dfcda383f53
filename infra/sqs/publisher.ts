import { SendMessageBatchCommand, type SendMessageBatchCommandOutput, type SQSClient } from '@aws-sdk/client-sqs';
import pLimit from 'p-limit';
import { type Clock, systemClock } from '../../engine/clock.ts';
import { LockstepError } from '../../engine/errors.ts';
import type { OutgoingMessage, Publisher } from '../../engine/message/message.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { backoffMs, pause } from './backoff.ts';
import { packBatches } from './batches.ts';
import { entryRemedy, requestRemedy } from './remedy.ts';

export interface PublisherOptions {
  readonly client: Pick<SQSClient, 'send'>;
  /** Of a FIFO queue. */
  readonly queueUrl: string;
  readonly telemetry?: Telemetry;
  readonly clock?: Pick<Clock, 'pauseMs'>;
  /** Requests under way at once. Default 8. */
  readonly concurrency?: number;
  /** From 0 to 1, for the jitter. */
  readonly random?: () => number;
}

/**
 * Sends to SQS until every message has been accepted. SendMessageBatch answers for each entry: those in `Failed` are sent
 * again, alone. Throws LS_QUEUE_REFUSED (no such queue, access denied), LS_MESSAGE_REFUSED (the entry is at fault), or
 * the signal's reason; what was accepted before stays accepted.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const limit = pLimit(options.concurrency ?? 8);
  const queue: Queue = { ...options, worked: false };
  return {
    async publish(messages, signal) {
      const failure = new AbortController();
      const either = AbortSignal.any([signal, failure.signal]);
      const sendings = packBatches(messages).map((batch) =>
        limit(async () => {
          try {
            await sendAll(queue, batch, either);
          } catch (error) {
            // The others stop at this error and report it, so that nothing is under way when it reaches the caller.
            failure.abort(error);
            throw error;
          }
        }),
      );
      const failed = (await Promise.allSettled(sendings)).some(({ status }) => status === 'rejected');
      if (failed) throw signal.aborted ? signal.reason : failure.signal.reason;
    },
  };
}

interface Queue extends PublisherOptions {
  /** Whether a request has succeeded. */
  worked: boolean;
}

async function sendAll(queue: Queue, batch: OutgoingMessage[], signal: AbortSignal): Promise<void> {
  const { clock = systemClock, telemetry = silent, random = Math.random } = queue;
  let remaining = batch;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const { refused, why } = await send(queue, remaining, signal);
    telemetry.measure('sqs_requests', 1);
    telemetry.measure('sqs_messages_sent', remaining.length - refused.length);
    if (refused.length === 0) return;
    telemetry.measure('sqs_entries_retried', refused.length);
    telemetry.log('warn', 'sqs.entries_refused', { entries: refused.length, attempt, code: why });
    remaining = refused;
    await pause(clock, backoffMs(attempt, random()), signal);
  }
}

interface Answer {
  readonly refused: OutgoingMessage[];
  /** Code of the first refusal. */
  readonly why?: string;
}

/** One request. What it refused, and can be sent again. */
async function send(queue: Queue, batch: OutgoingMessage[], signal: AbortSignal): Promise<Answer> {
  let answer: SendMessageBatchCommandOutput;
  try {
    answer = await queue.client.send(batchCommand(queue.queueUrl, batch), { abortSignal: signal });
    queue.worked = true;
  } catch (error) {
    signal.throwIfAborted();
    const code = (error as Error).name;
    if (requestRemedy(error, queue.worked) === 'retry') return { refused: batch, why: code };
    throw new LockstepError('LS_QUEUE_REFUSED', `The queue ${queue.queueUrl} refuses messages: ${code}.`, {
      cause: error,
    });
  }
  const faults = answer.Failed ?? [];
  const fatal = faults.find((fault) => entryRemedy(fault) === 'stop');
  if (fatal) {
    const message = batch[Number(fatal.Id)];
    throw new LockstepError(
      'LS_MESSAGE_REFUSED',
      `The queue ${queue.queueUrl} refuses message ${message?.deduplicationId} of ${Buffer.byteLength(message?.body ?? '')} bytes: ${fatal.Code}.`,
    );
  }
  // Only what is named among the successful has been accepted.
  const accepted = new Set(answer.Successful?.map(({ Id }) => Id));
  const refused = batch.filter((_, index) => !accepted.has(String(index)));
  return { refused, ...(faults[0]?.Code !== undefined && { why: faults[0].Code }) };
}

function batchCommand(queueUrl: string, batch: readonly OutgoingMessage[]): SendMessageBatchCommand {
  return new SendMessageBatchCommand({
    QueueUrl: queueUrl,
    Entries: batch.map((message, index) => ({
      Id: String(index),
      MessageBody: message.body,
      MessageGroupId: message.group,
      MessageDeduplicationId: message.deduplicationId,
    })),
  });
}
