import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SendMessageBatchCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import pg from 'pg';
import { groupOfBackfill, groupOfShard } from '../../engine/message/shard.ts';
import type { DirectionName } from '../../engine/migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../../engine/migration/load.ts';
import { armable } from '../../engine/phases/arm.ts';
import { randomFrom } from '../../engine/random.ts';
import { silent } from '../../engine/telemetry.ts';
import { armDatabase, migrateDatabase } from '../../functions/migrate/handler.ts';
import { defaultShards, environment } from '../../infra/contract.ts';
import { textTypes } from '../../infra/postgres/types.ts';
import { createSecretCache } from '../../infra/secrets/cache.ts';
import { dev } from '../../sql/dev.ts';
import { migration } from '../../sql/migration.ts';
import { eventually } from '../support/eventually.ts';
import { sqsProxy } from '../support/proxy.ts';
import { type TestQueue, testQueue } from '../support/queue.ts';
import { type SecretsServer, secretsServer } from '../support/secrets.ts';
import { type Part, startPart } from './part.ts';
import { type PartName, partNames, roleNames, type wireNames } from './plan.ts';
import { type FaultyQueue, faultyQueue } from './queue-faults.ts';
import { type Server, startServer } from './server.ts';
import { layWire, type Wire } from './wire.ts';

/** Everything that a schedule can break: as deployed, on one machine, each role with its own secret. */
export interface Machine extends AsyncDisposable {
  readonly server: Server;
  /** Of the superuser, straight to the server. */
  readonly pool: pg.Pool;
  readonly wires: Readonly<Record<(typeof wireNames)[number], Wire>>;
  readonly queue: TestQueue;
  readonly faulty: FaultyQueue;
  readonly secrets: SecretsServer;
  readonly parts: Readonly<Record<PartName, Part>>;
  readonly loaded: Readonly<Record<DirectionName, LoadedDirection>>;
  /** Of the operator's processes (`turn.ts`). */
  readonly operatorEnv: NodeJS.ProcessEnv;
  /** Every line that a part has printed. */
  readonly printed: string[];
  /** Every password that a role has had. */
  readonly passwords: string[];
  /** Gives a role another password; its secret follows after `secretAfterMs`. */
  rotate(role: string, secretAfterMs: number): Promise<void>;
}

export const databaseName = 'photomemory';
/**
 * Far below production's six minutes: what a killed applier had in hand comes again in a schedule's time. Not below what a
 * batch takes on a busy machine: what comes again while it is in hand is done twice, and then nothing is ever finished.
 */
const visibilitySeconds = 10;
export const awsSecret = 'chaos-secret-access-key';

const arnOf = (role: string) => `arn:aws:secretsmanager:us-east-1:000000000000:secret:${role}`;

export async function startChaosMachine(seed: number, users = 20): Promise<Machine> {
  await using started = new AsyncDisposableStack();
  const server = started.use(await startServer());
  const queue = started.use(await testQueue());
  const secrets = started.use(await secretsServer());
  const wires = {
    listeners: started.use(await layWire(server.port)),
    appliers: started.use(await layWire(server.port)),
  };
  const pool = started.adopt(await createDatabase(server), (ended) => ended.end());
  pool.on('error', () => {});
  await queue.sqs.send(
    new SetQueueAttributesCommand({
      QueueUrl: queue.queueUrl,
      Attributes: { VisibilityTimeout: String(visibilitySeconds) },
    }),
  );
  const passwords: string[] = [];
  const ports: Record<string, number> = {
    lockstep_listener: wires.listeners.port,
    lockstep_applier: wires.appliers.port,
    lockstep_operator: wires.appliers.port,
  };
  const store = (role: string, password: string) => {
    const address = { host: '127.0.0.1', port: ports[role], dbname: databaseName };
    secrets.values.set(arnOf(role), JSON.stringify({ ...address, username: role, password }));
  };
  const newPassword = () => {
    const password = `chaos-${randomBytes(12).toString('hex')}`;
    passwords.push(password);
    return password;
  };
  for (const role of roleNames) store(role, newPassword());
  const credentials = { accessKeyId: 'local', secretAccessKey: awsSecret };
  const secretsClient = new SecretsManagerClient({ endpoint: secrets.endpoint, region: queue.region, credentials });
  await migrateDatabase({
    pool,
    migration,
    folder: fileURLToPath(new URL('../../sql', import.meta.url)),
    roleSecrets: Object.fromEntries(roleNames.map((role) => [role, arnOf(role)])),
    secrets: createSecretCache({ client: secretsClient }),
    telemetry: silent,
    trial: { users, seed: dev.seed },
  });
  await armDatabase({ pool, migration, telemetry: silent });
  const groups = (['forward', 'reverse'] as const).flatMap((direction) => [
    groupOfBackfill(direction),
    ...Array.from({ length: defaultShards }, (_, shard) => groupOfShard(direction, shard)),
  ]);
  const faulty = faultyQueue(randomFrom(seed), groups, (Entries) =>
    queue.sqs.send(new SendMessageBatchCommand({ QueueUrl: queue.queueUrl, Entries })),
  );
  const proxy = started.use(await sqsProxy(queue.endpoint, faulty.intercept));
  const printed: string[] = [];
  const env = (role: string) => ({
    PATH: process.env.PATH,
    [environment.databaseSecretArn]: arnOf(role),
    // The SDK goes where the queue's URL says.
    [environment.queueUrl]: queue.queueUrl.replace(queue.endpoint, proxy.endpoint),
    [environment.deadLetterQueueUrl]: queue.deadLetterQueueUrl.replace(queue.endpoint, proxy.endpoint),
    AWS_ENDPOINT_URL_SQS: proxy.endpoint,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: awsSecret,
  });
  const parts = Object.fromEntries(
    partNames.map((name) => {
      const program = name.startsWith('listener') ? 'listener' : 'applier';
      const part = startPart({
        name,
        program,
        env: env(`lockstep_${program}`),
        onLine: (line) => printed.push(line),
      });
      return [name, started.use(part)];
    }),
  ) as Record<PartName, Part>;
  const loaded = {
    forward: await loadDirection(pool, 'forward', migration.forward),
    reverse: await loadDirection(pool, 'reverse', armable(migration).reverse),
  };
  const running = started.move();
  return {
    server,
    pool,
    wires,
    queue,
    faulty,
    secrets,
    parts,
    loaded,
    operatorEnv: env('lockstep_operator'),
    printed,
    passwords,
    async rotate(role, secretAfterMs) {
      const password = newPassword();
      // Until it answers: a server that is stopped meanwhile may have done it, and nobody would know the new one.
      const sql = `ALTER ROLE ${pg.escapeIdentifier(role)} PASSWORD ${pg.escapeLiteral(password)}`;
      await eventually(() => pool.query(sql));
      await new Promise((resolve) => setTimeout(resolve, secretAfterMs));
      store(role, password);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function createDatabase(server: Server): Promise<pg.Pool> {
  const admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${databaseName}`);
  await admin.end();
  return new pg.Pool({
    connectionString: server.url(databaseName),
    types: textTypes,
    max: 12,
    application_name: 'chaos',
  });
}
