import type { SQSClient } from '@aws-sdk/client-sqs';
import type { ListenerLimits } from '../../engine/capture/limits.ts';
import { runListener } from '../../engine/capture/listener.ts';
import { superviseListener } from '../../engine/capture/supervise.ts';
import { LockstepError } from '../../engine/errors.ts';
import type { Failpoints } from '../../engine/failpoint.ts';
import type { DirectionName, Migration } from '../../engine/migration/contract.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { countMessages } from '../../infra/sqs/count.ts';
import { createPublisher } from '../../infra/sqs/publisher.ts';

export interface ListenerParts {
  readonly client: Pick<SQSClient, 'send'>;
  readonly queueUrl: string;
  readonly migration: Migration;
  readonly direction: DirectionName;
  readonly shards: number;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** Wait for the slot while another listener has it, instead of refusing to start. */
  readonly standby: boolean;
  /** See `superviseListener`. */
  readonly proven?: boolean;
  /** Where the database's settings are. Default: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** Where lost messages are told from dead ones: without it they are told of, and not derived again. */
  readonly deadLetterQueueUrl?: string | undefined;
  readonly failpoints?: Failpoints;
  readonly limits?: Partial<ListenerLimits>;
  readonly onCapturing?: () => void;
}

/** The listener over given parts, through outages, until `signal` aborts. Throws what `superviseListener` throws. */
export async function listen(parts: ListenerParts): Promise<void> {
  const { client, queueUrl, migration, telemetry, signal, standby, shards, failpoints, limits } = parts;
  const { deadLetterQueueUrl } = parts;
  const direction = migration[parts.direction];
  if (!direction) {
    throw new LockstepError('LS_MIGRATION_INVALID', `"${migration.name}" declares no ${parts.direction} direction.`);
  }
  const publisher = createPublisher({ client, queueUrl, telemetry });
  const applicationName = 'lockstep listener';
  const run = async (onWell: () => void) => {
    // Opened anew after each outage: the credentials may have changed.
    await using database = await openDatabase({
      applicationName,
      max: 2,
      telemetry,
      ...(parts.env && { env: parts.env }),
    });
    await runListener({
      replication: database.clientConfig(applicationName),
      pool: database.pool,
      directionName: parts.direction,
      direction,
      publisher,
      telemetry,
      shards,
      signal,
      standby,
      ...(failpoints && { failpoints }),
      ...(limits && { limits }),
      ...(deadLetterQueueUrl !== undefined && { deadLetters: () => countMessages(client, deadLetterQueueUrl) }),
      onStandby: onWell,
      onCapturing() {
        onWell();
        parts.onCapturing?.();
      },
    });
  };
  await superviseListener({ run, signal, telemetry, ...(parts.proven && { proven: true }) });
}
