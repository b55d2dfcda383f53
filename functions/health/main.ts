import { systemClock } from '../../engine/clock.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { migration } from '../../sql/migration.ts';
import { createHealth } from './handler.ts';

const telemetry = createAwsTelemetry({ service: 'health' });
const { pool } = await openDatabase({
  applicationName: 'lockstep health',
  max: 1,
  statementTimeoutMs: 20_000,
  telemetry,
});
const look = createHealth({ db: pool, migration, telemetry, clock: systemClock });

/** Lambda's entry, once a minute: publishes the state of the migration as metrics and returns them. */
export const handler = async (): Promise<Record<string, number>> => {
  try {
    return await look();
  } finally {
    telemetry.flush();
  }
};
