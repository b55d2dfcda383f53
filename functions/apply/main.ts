import { apply as contract, environment } from '../../infra/contract.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { createSqsClient } from '../../infra/sqs/client.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { migration } from '../../sql/migration.ts';
import { setting } from '../settings.ts';
import { buildApply } from './build.ts';
import type { ApplyHandler } from './handler.ts';

const telemetry = createAwsTelemetry({ service: 'apply' });
// One batch at a time: the function's concurrency is the number of its instances.
const { pool } = await openDatabase({ applicationName: 'lockstep apply', max: 2, telemetry });
const apply = buildApply({
  pool,
  client: createSqsClient(),
  queueUrl: setting(environment.queueUrl),
  deadLetterQueueUrl: setting(environment.deadLetterQueueUrl),
  migration,
  telemetry,
  concurrency: Number(process.env[environment.applyConcurrency] ?? contract.concurrency),
});

/** Lambda's entry: batches of the queue. */
export const handler: ApplyHandler = async (event, invocation) => {
  try {
    return await apply(event, invocation);
  } finally {
    telemetry.flush();
  }
};
