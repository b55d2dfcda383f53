import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import type { Migration } from '../../engine/migration/contract.ts';
import type { DevHooks } from '../../engine/migration/dev.ts';
import { arm } from '../../engine/phases/arm.ts';
import { migrate } from '../../engine/steps/migrate.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import type { SecretCache } from '../../infra/secrets/cache.ts';
import { setPasswords } from './roles.ts';

export interface MigrateParts {
  /** Of the owner of the tables, who may make roles. */
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** Where the numbered SQL is, and roles.sql and monitoring.sql. */
  readonly folder: string;
  /** By role the ARN of the secret that holds its password. */
  readonly roleSecrets: Readonly<Record<string, string>>;
  readonly secrets: SecretCache;
  readonly telemetry: Telemetry;
  /** Of an empty database that is tried out: how the legacy tables are filled, and with how many users. */
  readonly trial?: { readonly users: number; readonly seed: DevHooks['seed'] };
}

export interface ArmAnswer {
  readonly armed: true;
}

export interface MigrateAnswer {
  readonly steps: readonly string[];
  readonly publication: string;
  readonly roles: readonly string[];
}

/** Whether the payload is `{"arm": true}`. A deployment's own event has other fields, which are not ours. */
export function asksToArm(event: unknown): boolean {
  return (
    typeof event === 'object' && event !== null && Object.hasOwn(event, 'arm') && 'arm' in event && event.arm === true
  );
}

/** Prepares the way back, as the owner of the tables: `lockstep arm`, for whoever has no way to the database. */
export async function armDatabase({
  pool,
  migration,
  telemetry,
}: Pick<MigrateParts, 'pool' | 'migration' | 'telemetry'>): Promise<ArmAnswer> {
  const client = await pool.connect();
  try {
    await arm({ client, migration, telemetry });
    return { armed: true };
  } finally {
    client.release(true);
  }
}

/**
 * Brings a database to where this deployment needs it: steps, publication, roles, their passwords, the monitoring's
 * views. Safe to repeat. Whatever it throws fails the deployment, which then runs on as it was.
 */
export async function migrateDatabase(parts: MigrateParts): Promise<MigrateAnswer> {
  const { pool, migration, folder, telemetry, trial, roleSecrets } = parts;
  const client = await pool.connect();
  try {
    const legacy = trial !== undefined;
    const result = await migrate({ client, migration, folder, legacy, telemetry });
    await client.query('RESET ALL');
    if (trial?.seed) await trial.seed(client, { users: trial.users });
    for (const file of ['roles.sql', 'monitoring.sql']) await client.query(await readFile(join(folder, file), 'utf8'));
    await setPasswords(client, parts.secrets, roleSecrets);
    const answer = {
      steps: result.applied.map(({ owner, name }) => `${owner}: ${name}`),
      publication: result.publication,
      roles: Object.keys(roleSecrets),
    };
    telemetry.log('info', 'migrated', { ...answer });
    return answer;
  } finally {
    client.release(true);
  }
}
