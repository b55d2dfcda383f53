import { Duration, Stack } from 'aws-cdk-lib';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Trigger } from 'aws-cdk-lib/triggers';
import type { Construct } from 'constructs';
import { databaseRoles, environment } from '../../infra/contract.ts';
import type { Deployment } from '../shared/deployment.ts';
import { createFunction } from '../shared/function.ts';
import { readSecret } from '../shared/read-secret.ts';
import type { RoleName } from './role-secrets.ts';

/** As long as a custom resource may take: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const timeoutSeconds = 14 * 60;

/**
 * Brings the database to where this version needs it, whenever the function's code (the SQL is part of it) or settings
 * change. If it fails the deployment fails, and what waits for the trigger is not touched.
 */
export function createMigrations(
  scope: Construct,
  deployment: Deployment,
  secrets: Readonly<Record<RoleName, ISecret>>,
): Trigger {
  const { config, database, prefix } = deployment;
  const names = Object.keys(secrets) as RoleName[];
  const roleSecrets = Object.fromEntries(names.map((name) => [databaseRoles[name], secrets[name].secretArn]));
  const { lambda: handler, role } = createFunction(scope, deployment, {
    name: 'migrate',
    description: `${prefix}: applies the numbered SQL, makes the roles`,
    secret: database.administrator,
    timeoutSeconds,
    memoryMiB: 1024,
    environment: {
      [environment.databaseHost]: database.host,
      [environment.databasePort]: String(database.port),
      [environment.databaseName]: database.name,
      [environment.roleSecrets]: Stack.of(scope).toJsonString(roleSecrets),
      ...(config.kind === 'trial' && { [environment.trialUsers]: String(config.users) }),
    },
  });
  for (const name of names) readSecret(role, secrets[name]);
  return new Trigger(scope, 'Migrations', { handler, timeout: Duration.seconds(timeoutSeconds) });
}
