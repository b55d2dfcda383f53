import { fileURLToPath } from 'node:url';
import { environment } from '../../infra/contract.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { createSecretCache, createSecretsClient } from '../../infra/secrets/cache.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { dev } from '../../sql/dev.ts';
import { migration } from '../../sql/migration.ts';
import { setting } from '../settings.ts';
import { type ArmAnswer, armDatabase, asksToArm, type MigrateAnswer, migrateDatabase } from './handler.ts';
import { parseRoleSecrets } from './roles.ts';

const telemetry = createAwsTelemetry({ service: 'migrate' });
const trialUsers = process.env[environment.trialUsers];

/** Lambda's entry, called by each deployment before anything else of it runs; by a person with `{"arm": true}`. */
export const handler = async (event: unknown): Promise<MigrateAnswer | ArmAnswer> => {
  const secrets = createSecretCache({ client: createSecretsClient() });
  await using database = await openDatabase({ applicationName: 'lockstep migrate', max: 1, telemetry, secrets });
  if (asksToArm(event)) return await armDatabase({ pool: database.pool, migration, telemetry });
  return await migrateDatabase({
    pool: database.pool,
    migration,
    folder: fileURLToPath(new URL('../../sql', import.meta.url)),
    roleSecrets: parseRoleSecrets(setting(environment.roleSecrets)),
    secrets,
    telemetry,
    ...(trialUsers !== undefined && { trial: { users: Number(trialUsers), seed: dev.seed } }),
  });
};
