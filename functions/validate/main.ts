import { openDatabase } from '../../infra/postgres/database.ts';
import { reportStore } from '../../infra/reports/store.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { migration } from '../../sql/migration.ts';
import { createValidateHandler, type ValidateHandler } from './handler.ts';

const telemetry = createAwsTelemetry({ service: 'validate' });
const { pool } = await openDatabase({ applicationName: 'lockstep validate', max: 4, telemetry });
const validate = createValidateHandler({ pool, migration, reports: reportStore(), telemetry });

/** Lambda's entry: schedules, each with its task as input. */
export const handler: ValidateHandler = async (event, invocation) => {
  try {
    return await validate(event, invocation);
  } finally {
    telemetry.flush();
  }
};
