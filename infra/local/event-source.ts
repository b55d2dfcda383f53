import { randomUUID } from 'node:crypto';
import { DeleteMessageBatchCommand, type Message, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { type Clock, systemClock } from '../../engine/clock.ts';
import { LockstepError } from '../../engine/errors.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { apply } from '../contract.ts';
import { backoffMs, pause } from '../sqs/backoff.ts';
import { requestRemedy } from '../sqs/remedy.ts';
import { finishedOf } from './batch-response.ts';
import { contextOf, recordOf } from './records.ts';

export type SqsHandler = (event: SQSEvent, context: Context) => Promise<SQSBatchResponse | undefined>;

export interface EventSourceOptions {
  readonly client: Pick<SQSClient, 'send'>;
  readonly queueUrl: string;
  readonly queueArn: string;
  readonly handler: SqsHandler;
  /** Batches in hand at once. Default: the deployment's. */
  readonly concurrency?: number;
  /** How long a receive waits for messages; `stop` waits for it too. Default 2. */
  readonly waitSeconds?: number;
  readonly telemetry?: Telemetry;
  readonly clock?: Pick<Clock, 'pauseMs'>;
}

export interface EventSource extends AsyncDisposable {
  /** Takes no more messages; resolves when those in hand are done with. */
  stop(): Promise<void>;
  /** Resolves after `stop`; rejects with LS_QUEUE_REFUSED when the queue cannot be read at all. */
  readonly finished: Promise<void>;
}

/**
 * Feeds a function from a FIFO queue as Lambda's event source mapping does: batches of at most 10, partial responses
 * honoured, what failed left to its visibility timeout. Errors are logged and waited out, never spun on.
 */
export function startEventSource(options: EventSourceOptions): EventSource {
  const stopping = new AbortController();
  const pollers = Array.from({ length: options.concurrency ?? apply.concurrency }, () => poll(options, stopping));
  const finished = Promise.all(pollers).then(() => {});
  // The caller may look at it only when it stops; until then a rejection has a listener.
  finished.catch(() => {});
  const stop = async () => {
    stopping.abort();
    await Promise.allSettled(pollers);
  };
  return { stop, finished, [Symbol.asyncDispose]: stop };
}

async function poll(options: EventSourceOptions, stopping: AbortController): Promise<void> {
  const { telemetry = silent, clock = systemClock } = options;
  let worked = false;
  for (let failures = 0; !stopping.signal.aborted; ) {
    try {
      const messages = await receive(options);
      worked = true;
      if (messages.length > 0) await invoke(options, messages);
      failures = 0;
    } catch (error) {
      if (requestRemedy(error, worked) === 'stop') {
        stopping.abort();
        const message = `The queue ${options.queueUrl} cannot be read: ${(error as Error).name}.`;
        throw new LockstepError('LS_QUEUE_REFUSED', message, { cause: error });
      }
      failures++;
      telemetry.log('warn', 'event_source.request_failed', { code: (error as Error).name, failures });
      await pause(clock, backoffMs(failures, 1), stopping.signal).catch(() => undefined);
    }
  }
}

async function receive({ client, queueUrl, waitSeconds = 2 }: EventSourceOptions): Promise<Message[]> {
  const answer = await client.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: apply.batchSize,
      WaitTimeSeconds: waitSeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    }),
  );
  return answer.Messages ?? [];
}

async function invoke(options: EventSourceOptions, messages: readonly Message[]): Promise<void> {
  const { handler, queueArn, telemetry = silent } = options;
  const records = messages.map((message) => recordOf(message, queueArn, queueArn.split(':')[3] ?? ''));
  const context = contextOf('lockstep-apply', randomUUID(), Date.now() + apply.timeoutSeconds * 1000);
  let finished: readonly SQSRecord[];
  try {
    finished = finishedOf(records, await handler({ Records: records }, context));
  } catch (error) {
    telemetry.log('error', 'event_source.handler_failed', {
      error: (error as Error).name,
      reason: (error as Error).message,
    });
    return;
  }
  await forget(options, finished);
}

/** What SQS does not delete now it delivers again, and the handler skips it: its ledger entry is gone. */
async function forget(
  { client, queueUrl, telemetry = silent }: EventSourceOptions,
  records: readonly SQSRecord[],
): Promise<void> {
  if (records.length === 0) return;
  const Entries = records.map((record, index) => ({ Id: String(index), ReceiptHandle: record.receiptHandle }));
  const answer = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  const failed = answer.Failed ?? [];
  if (failed.length > 0)
    telemetry.log('warn', 'event_source.delete_failed', { entries: failed.length, code: failed[0]?.Code });
}
