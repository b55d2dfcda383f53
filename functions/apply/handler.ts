import { randomUUID } from 'node:crypto';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { z } from 'zod';
import type { Applier } from '../../engine/apply/applier.ts';
import type { ApplyOutcome } from '../../engine/apply/outcome.ts';
import { isConnectionLost } from '../../engine/connection.ts';
import { LockstepError } from '../../engine/errors.ts';
import { decode } from '../../engine/message/codec.ts';
import type { Message, Publisher } from '../../engine/message/message.ts';
import { groupOfBackfill } from '../../engine/message/shard.ts';
import type { DirectionName, Migration } from '../../engine/migration/contract.ts';
import { remedyFor } from '../../engine/sqlstate.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { unfinishedOf } from './response.ts';

export interface ApplyHandlerOptions {
  readonly migration: Migration;
  applierOf(direction: DirectionName): Promise<Applier>;
  /** Sets a message that nobody can read aside, with the reason, where the operator finds it. */
  deadLetter(record: SQSRecord, reason: string): Promise<void>;
  /** Makes records that were not finished visible again soon, instead of at their visibility timeout. */
  giveBack(records: readonly SQSRecord[]): Promise<void>;
  /** Takes the rest of a backfill that did not fit into one invocation. */
  readonly publisher: Publisher;
  readonly telemetry: Telemetry;
}

/** What the handler needs to know of its invocation. */
export interface Invocation {
  getRemainingTimeInMillis(): number;
}

export type ApplyHandler = (event: SQSEvent, invocation: Invocation) => Promise<SQSBatchResponse>;

/** Time kept twice: for a transaction that is just being committed, and for sending on what is left of a backfill. */
const reserveMs = 2_000;

/** Whether a record is finished: deleted from the queue, or delivered again. */
type Verdict = 'finished' | 'again';

/**
 * Handles a batch of the queue: messages are applied, those that nobody can read go to the dead-letter queue, and those
 * that could not be finished are reported, with all that come after them in their group
 * (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
 * Throws what no repetition mends, so that the whole batch stays in the queue and an alarm is raised; LS_CONFIG for an
 * event that is no batch.
 */
export function createApplyHandler(options: ApplyHandlerOptions): ApplyHandler {
  return async (event, invocation) => {
    refuseOtherEvents(event);
    const deadlineMs = Date.now() + invocation.getRemainingTimeInMillis() - 2 * reserveMs;
    const verdicts = new Map<SQSRecord, Verdict>();
    const readable = new Map<SQSRecord, Message>();
    for (const record of event.Records) {
      const { message, malformed } = decode(record.body, options.migration);
      if (message) readable.set(record, message);
      else verdicts.set(record, await putAside(options, record, malformed));
    }
    for (const direction of new Set([...readable.values()].map((message) => message.direction))) {
      const records = [...readable.keys()].filter((record) => readable.get(record)?.direction === direction);
      const messages = records.flatMap((record) => readable.get(record) ?? []);
      const applier = await options.applierOf(direction).catch((error: unknown) => unlessAway(options, error));
      const outcomes = (await applier?.apply(messages, { deadlineMs })) ?? [];
      for (const [index, record] of records.entries()) {
        verdicts.set(record, await judge(options, record, direction, outcomes[index]));
      }
    }
    const unfinished = unfinishedOf(event.Records, (record) => verdicts.get(record) === 'finished');
    await giveBack(options, unfinished);
    return { batchItemFailures: unfinished.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}

/** While the database is away its catalogs cannot be read either: the messages come again soon. */
function unlessAway({ telemetry }: ApplyHandlerOptions, error: unknown): undefined {
  if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
  telemetry.log('warn', 'messages will be delivered again: the catalogs cannot be read', {
    reason: error instanceof Error ? error.message : String(error),
  });
}

const batch = z.looseObject({
  Records: z.array(
    z.looseObject({
      messageId: z.string().min(1),
      receiptHandle: z.string(),
      body: z.string(),
      attributes: z.looseObject({ MessageGroupId: z.string().min(1).optional(), ApproximateReceiveCount: z.string() }),
    }),
  ),
});

/** Whoever invokes the function by hand, or wires it to something else, is told so. @throws LockstepError LS_CONFIG */
function refuseOtherEvents(event: unknown): void {
  const { error } = batch.safeParse(event);
  if (error === undefined) return;
  const [issue] = error.issues;
  const at = issue === undefined || issue.path.length === 0 ? 'the event' : issue.path.slice(0, 4).join('.');
  throw new LockstepError(
    'LS_CONFIG',
    `The event is not a batch of the queue's messages (${at.slice(0, 100)} is not what SQS sends); nothing of it was applied.`,
  );
}

async function judge(
  options: ApplyHandlerOptions,
  record: SQSRecord,
  direction: DirectionName,
  outcome: ApplyOutcome | undefined,
): Promise<Verdict> {
  switch (outcome?.kind) {
    case 'continue':
      return await sendOn(options, record, direction);
    case 'done':
    case 'duplicate':
    case 'fenced':
      return 'finished';
    case 'unreadable':
      return await putAside(options, record, outcome.reason);
    case 'again':
      options.telemetry.log('warn', 'message will be delivered again', {
        messageId: record.messageId,
        receiveCount: record.attributes.ApproximateReceiveCount,
        reason: outcome.error?.message ?? 'out of time',
      });
      return 'again';
    default:
      return 'again';
  }
}

/** The same body under a new deduplication id: the old one would be dropped as a repetition for five minutes. */
async function sendOn(
  { publisher, telemetry }: ApplyHandlerOptions,
  record: SQSRecord,
  direction: DirectionName,
): Promise<Verdict> {
  const message = { deduplicationId: randomUUID(), group: groupOfBackfill(direction), body: record.body };
  try {
    await publisher.publish([message], AbortSignal.timeout(reserveMs));
    return 'finished';
  } catch (error) {
    telemetry.log('warn', 'backfill could not be sent on', { messageId: record.messageId, reason: String(error) });
    return 'again';
  }
}

async function putAside(
  { deadLetter, telemetry }: ApplyHandlerOptions,
  record: SQSRecord,
  reason: string,
): Promise<Verdict> {
  telemetry.log('error', 'message moved to the dead-letter queue', { messageId: record.messageId, reason });
  try {
    await deadLetter(record, reason);
    telemetry.measure('apply_dead_lettered', 1);
    return 'finished';
  } catch (error) {
    telemetry.log('error', 'dead-letter queue refused a message', {
      messageId: record.messageId,
      reason: String(error),
    });
    return 'again';
  }
}

async function giveBack({ giveBack, telemetry }: ApplyHandlerOptions, records: readonly SQSRecord[]): Promise<void> {
  try {
    await giveBack(records);
  } catch (error) {
    telemetry.log('warn', 'messages stay invisible until their timeout', {
      count: records.length,
      reason: String(error),
    });
  }
}
