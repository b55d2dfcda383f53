import { openDatabase } from '../../infra/postgres/database.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { migration } from '../../sql/migration.ts';
import { createRollbackSyncHandler, type Invocation } from './handler.ts';

const telemetry = createAwsTelemetry({ service: 'rollback-sync' });
const { pool } = await openDatabase({ applicationName: 'lockstep rollback', max: 4, telemetry });
const sync = createRollbackSyncHandler({ pool, migration, telemetry });

/** Lambda's entry: invoked by a person. */
export const handler = async (payload: unknown, invocation: Invocation) => {
  try {
    return await sync(payload, invocation);
  } finally {
    telemetry.flush();
  }
};
