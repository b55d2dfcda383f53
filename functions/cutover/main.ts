import { environment } from '../../infra/contract.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { createSqsClient } from '../../infra/sqs/client.ts';
import { countMessages } from '../../infra/sqs/count.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { migration } from '../../sql/migration.ts';
import { setting } from '../settings.ts';
import { createCutoverHandler, type Invocation } from './handler.ts';

const telemetry = createAwsTelemetry({ service: 'cutover' });
const { pool } = await openDatabase({ applicationName: 'lockstep cutover', max: 4, telemetry });
const client = createSqsClient();
const deadLetterQueueUrl = setting(environment.deadLetterQueueUrl);
const countDeadLetters = () => countMessages(client, deadLetterQueueUrl);
const cutover = createCutoverHandler({ pool, migration, countDeadLetters, telemetry });

/** Lambda's entry: invoked by a person. */
export const handler = async (payload: unknown, invocation: Invocation) => {
  try {
    return await cutover(payload, invocation);
  } finally {
    telemetry.flush();
  }
};
