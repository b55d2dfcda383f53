import type { SQSClient } from '@aws-sdk/client-sqs';
import type pg from 'pg';
import { type Applier, createApplier } from '../../engine/apply/applier.ts';
import { limitsWithinBudget } from '../../engine/apply/limits.ts';
import { LockstepError } from '../../engine/errors.ts';
import type { Failpoints } from '../../engine/failpoint.ts';
import type { DirectionName, Migration } from '../../engine/migration/contract.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { sendDeadLetter } from '../../infra/sqs/dead-letter.ts';
import { createPublisher } from '../../infra/sqs/publisher.ts';
import { returnMessages } from '../../infra/sqs/return.ts';
import { type ApplyHandler, createApplyHandler } from './handler.ts';

export interface ApplyParts {
  readonly pool: pg.Pool;
  readonly client: Pick<SQSClient, 'send'>;
  readonly queueUrl: string;
  readonly deadLetterQueueUrl: string;
  readonly migration: Migration;
  readonly telemetry: Telemetry;
  /** Batches that may be in hand at once, here and elsewhere: their locks must fit into the server's table. */
  readonly concurrency: number;
  readonly failpoints?: Failpoints;
}

/** The apply function over given parts. The catalogs are read once for each direction, at its first message. */
export function buildApply(parts: ApplyParts): ApplyHandler {
  const { client, queueUrl, deadLetterQueueUrl, migration, telemetry } = parts;
  const appliers = new Map<DirectionName, Promise<Applier>>();
  const remember = (direction: DirectionName) => {
    const loading = loadApplier(parts, direction);
    appliers.set(direction, loading);
    // What failed to load is tried again with the next batch.
    loading.catch(() => appliers.delete(direction));
    return loading;
  };
  return createApplyHandler({
    migration,
    telemetry,
    publisher: createPublisher({ client, queueUrl, telemetry }),
    applierOf: (direction) => appliers.get(direction) ?? remember(direction),
    deadLetter: ({ messageId, body, attributes }, reason) =>
      sendDeadLetter(
        { client, deadLetterQueueUrl },
        { messageId, body, reason, group: attributes.MessageGroupId ?? '' },
      ),
    giveBack: (records) =>
      returnMessages(
        client,
        queueUrl,
        records.map(({ receiptHandle, attributes }) => {
          return { receiptHandle, receiveCount: Number(attributes.ApproximateReceiveCount) };
        }),
      ),
  });
}

async function loadApplier(parts: ApplyParts, name: DirectionName): Promise<Applier> {
  const { pool, migration, telemetry, concurrency, failpoints } = parts;
  const direction = migration[name];
  if (!direction) throw new LockstepError('LS_MIGRATION_INVALID', `"${migration.name}" declares no ${name} direction.`);
  const limits = await limitsWithinBudget(pool, concurrency);
  const loaded = await loadDirection(pool, name, direction);
  return createApplier({ pool, loaded, telemetry, limits, ...(failpoints && { failpoints }) });
}
