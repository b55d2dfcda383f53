import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import pg from 'pg';
import { environment } from '../../infra/contract.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { type TestQueue, testQueue } from '../support/queue.ts';
import { type SecretsServer, secretsServer } from '../support/secrets.ts';
import { type Assembly, readAssembly, synth } from './assembly.ts';
import {
  entryPoint,
  type LambdaProcess,
  type Running,
  start,
  startLambda,
  unpack,
  type Variables,
} from './processes.ts';

type ResourceOf = Assembly['resources'][string];

/** The trial's assembly with this machine's PostgreSQL, SQS, S3 and Secrets Manager in AWS's place, on the wire. */
export interface LocalDeployment extends AsyncDisposable {
  readonly assembly: Assembly;
  readonly queue: TestQueue;
  readonly secrets: SecretsServer;
  /** Of the superuser. */
  readonly pool: pg.Pool;
  readonly s3: S3Client;
  /** The Docker context of the listener's image, and what that image has in /app. */
  readonly imageContext: string;
  readonly imageFolder: string;
  resourcesOf(type: string): [id: string, resource: ResourceOf][];
  /** Starts the function's bundle with the variables that the template gives it. */
  lambda(name: string): Promise<LambdaProcess>;
  /** Starts the listener with the variables of its container. */
  listener(livenessPort: number): Running;
  secretArn(role: string): string;
  /** Sets a role's secret as the template makes it, with the address that the database has here. */
  storeSecret(role: string, password: string): void;
}

const deployment = 'lockstep-trial';

export async function deployLocally(): Promise<LocalDeployment> {
  const assembly = readAssembly(await synth('trial'));
  const server = await startPostgres({
    fsync: false,
    settings: { shared_preload_libraries: 'pg_stat_statements', max_slot_wal_keep_size: '1GB' },
  });
  const queue = await testQueue();
  const secrets = await secretsServer();
  const pool = new pg.Pool({ connectionString: server.url(), max: 4 });
  // The server may be quicker to stop than its last connections to end.
  pool.on('error', () => {});
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const s3 = new S3Client({ endpoint: queue.endpoint, region: queue.region, forcePathStyle: true, credentials });
  const folders = [assembly.folder];
  const started: Running[] = [];
  const keep = <T extends Running>(running: T): T => {
    started.push(running);
    return running;
  };

  const resourcesOf = (type: string) => Object.entries(assembly.resources).filter(([, { Type }]) => Type === type);
  const find = (type: string, property: string, value: string): [string, ResourceOf] => {
    const found = resourcesOf(type).find(([, { Properties }]) => Properties[property] === value);
    if (!found) throw new Error(`no ${type} with ${property} ${value}`);
    return found;
  };
  const values = valuesOf({ resourcesOf, find }, queue);
  const address = new URL(server.url());
  const secretId = (role: string) => find('AWS::SecretsManager::Secret', 'Name', `${deployment}/${role}`)[0];

  const storeSecret = (role: string, password: string) => {
    const id = secretId(role);
    const generated = assembly.resources[id]?.Properties.GenerateSecretString as Record<string, unknown> | undefined;
    const template = JSON.parse(assembly.resolve(generated?.SecretStringTemplate, values));
    const here = { port: Number(address.port), dbname: 'postgres' };
    secrets.values.set(values[id] ?? '', JSON.stringify({ ...template, ...here, password }));
  };
  const roles = Object.values(assembly.resources).flatMap(({ Type, Properties }) => {
    const name = String(Properties?.Name ?? '');
    return Type === 'AWS::SecretsManager::Secret' && name.includes('/lockstep_') ? [name.split('/')[1] ?? ''] : [];
  });
  for (const role of roles) storeSecret(role, randomBytes(20).toString('hex'));
  // The administrator's as RDS manages one: user and password only.
  const administrator = JSON.stringify({ username: address.username, password: address.password });
  for (const arn of Object.values(values).filter((value) => value.startsWith('arn:aws:secretsmanager:'))) {
    if (!secrets.values.has(arn)) secrets.values.set(arn, administrator);
  }
  for (const [id] of resourcesOf('AWS::S3::Bucket')) {
    await s3.send(new CreateBucketCommand({ Bucket: values[id] ?? '' }));
  }

  /** What Lambda and Fargate give every process besides the template's variables, and where AWS is here. */
  const platform: Variables = {
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_ENDPOINT_URL_S3: queue.endpoint,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.endpoint,
  };
  const image = readdirSync(assembly.folder).find((name) => existsSync(join(assembly.folder, name, 'Dockerfile')));
  if (image === undefined) throw new Error('no Dockerfile in the assembly');
  const imageContext = join(assembly.folder, image);
  const imageFolder = join(unpack(imageContext), 'app');
  folders.push(dirname(imageFolder));

  return {
    assembly,
    queue,
    secrets,
    pool,
    s3,
    imageContext,
    imageFolder,
    resourcesOf,
    storeSecret,
    secretArn: (role) => values[secretId(role)] ?? '',
    async lambda(name) {
      const [, { Properties, Metadata }] = find('AWS::Lambda::Function', 'FunctionName', `${deployment}-${name}`);
      const folder = unpack(join(assembly.folder, Metadata?.['aws:asset:path'] ?? ''));
      folders.push(folder);
      const env: Record<string, string> = { ...platform };
      const { Variables: variables } = Properties.Environment as { Variables: Record<string, unknown> };
      for (const [variable, value] of Object.entries(variables)) {
        env[variable] = assembly.resolve(value, values).replace('/var/task', folder);
      }
      if (env[environment.databaseHost] !== undefined) {
        Object.assign(env, { [environment.databasePort]: address.port, [environment.databaseName]: 'postgres' });
      }
      return keep(await startLambda(folder, String(Properties.Handler), env));
    },
    listener(livenessPort) {
      const [, { Properties }] = find('AWS::ECS::TaskDefinition', 'Family', `${deployment}-listener`);
      const [container] = Properties.ContainerDefinitions as { Environment: { Name: string; Value: unknown }[] }[];
      const env: Record<string, string> = { ...platform };
      for (const { Name, Value } of container?.Environment ?? []) {
        env[Name] = assembly.resolve(Value, values).replace('/app', imageFolder);
      }
      // The container has its network to itself; this machine has not.
      env[environment.livenessPort] = String(livenessPort);
      const { options, script } = entryPoint(imageContext);
      return keep(start([...options, join(imageFolder, script)], imageFolder, env));
    },
    async [Symbol.asyncDispose]() {
      for (const running of started) await running[Symbol.asyncDispose]();
      s3.destroy();
      await pool.end();
      await secrets[Symbol.asyncDispose]();
      await queue.stop();
      await server.stop();
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Lookup = Pick<LocalDeployment, 'resourcesOf'> & {
  find(type: string, property: string, value: string): [string, ResourceOf];
};

/** What CloudFormation would know of the resources, by logical id. */
function valuesOf({ resourcesOf, find }: Lookup, queue: TestQueue): Record<string, string> {
  const values: Record<string, string> = {
    'AWS::Region': queue.region,
    'AWS::AccountId': '000000000000',
    'AWS::Partition': 'aws',
    [find('AWS::SQS::Queue', 'QueueName', `${deployment}.fifo`)[0]]: queue.queueUrl,
    [find('AWS::SQS::Queue', 'QueueName', `${deployment}-dead.fifo`)[0]]: queue.deadLetterQueueUrl,
  };
  for (const type of ['AWS::SecretsManager::Secret', 'AWS::SecretsManager::SecretTargetAttachment']) {
    for (const [id] of resourcesOf(type)) values[id] = `arn:aws:secretsmanager:us-east-1:000000000000:secret:${id}`;
  }
  for (const [id] of resourcesOf('AWS::S3::Bucket')) values[id] = id.toLowerCase();
  for (const [id] of resourcesOf('AWS::RDS::DBInstance')) values[`${id}.Endpoint.Address`] = '127.0.0.1';
  return values;
}
