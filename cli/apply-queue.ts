import { once } from 'node:events';
import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { LockstepError } from '../engine/errors.ts';
import type { Telemetry } from '../engine/telemetry.ts';
import { buildApply } from '../functions/apply/build.ts';
import { setting } from '../functions/settings.ts';
import { environment } from '../infra/contract.ts';
import { startEventSource } from '../infra/local/event-source.ts';
import { openDatabase } from '../infra/postgres/database.ts';
import { createSqsClient } from '../infra/sqs/client.ts';
import { loadMigration } from './migration-folder.ts';

export interface ApplyQueueOptions {
  readonly folder: string;
  /** Batches in hand at once. */
  readonly concurrency: number;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  readonly onStarted: (queueUrl: string) => void;
}

/**
 * Applies the messages of the queue that the settings name, as the Lambda function would, until `signal` aborts; what is
 * in hand is finished. Throws LS_CONFIG, LS_QUEUE_REFUSED, and what opening the database throws.
 */
export async function applyQueue({
  folder,
  concurrency,
  telemetry,
  signal,
  onStarted,
}: ApplyQueueOptions): Promise<void> {
  const migration = await loadMigration(folder);
  const queueUrl = setting(environment.queueUrl);
  const deadLetterQueueUrl = setting(environment.deadLetterQueueUrl);
  // A handler holds one connection for its merge, and asks the ledger through another.
  const max = 2 * concurrency;
  await using database = await openDatabase({ applicationName: 'lockstep apply', telemetry, max });
  const client = createSqsClient();
  try {
    const queueArn = await readQueueArn(client, queueUrl);
    const { pool } = database;
    const handler = buildApply({ pool, client, queueUrl, deadLetterQueueUrl, migration, telemetry, concurrency });
    await using source = startEventSource({ client, queueUrl, queueArn, handler, concurrency, telemetry });
    onStarted(queueUrl);
    await Promise.race([source.finished, signal.aborted ? undefined : once(signal, 'abort')]);
  } finally {
    client.destroy();
  }
}

async function readQueueArn(client: SQSClient, QueueUrl: string): Promise<string> {
  try {
    const answer = await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
    return answer.Attributes?.QueueArn ?? '';
  } catch (cause) {
    throw new LockstepError('LS_QUEUE_REFUSED', `The queue ${QueueUrl} cannot be read: ${(cause as Error).name}.`, {
      cause,
    });
  }
}
