import { z } from 'zod';
import { apply, defaultShards } from '../../infra/contract.ts';

const matching = (pattern: RegExp, example: string) => z.string().regex(pattern, `looks like ${example}`);
const subnet = matching(/^subnet-[0-9a-f]{8,17}$/, 'subnet-0123456789abcdef0');
const secretArn = matching(
  /^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/,
  'arn:aws:secretsmanager:eu-west-1:111122223333:secret:name-AbCdEf (the whole ARN, with its last six characters)',
);
const keyArn = matching(/^arn:aws:kms:[a-z0-9-]+:\d{12}:key\/.+$/, 'arn:aws:kms:eu-west-1:111122223333:key/…');

/** How the functions reach SQS, Secrets Manager, ECR and CloudWatch from their subnets. */
const egress = z.discriminatedUnion('kind', [
  /** The subnets have a route to a NAT gateway already. */
  z.strictObject({ kind: z.literal('nat') }),
  /** They have none: interface endpoints are made, and S3's gateway endpoint in these route tables. */
  z.strictObject({
    kind: z.literal('endpoints'),
    routeTableIds: z.array(matching(/^rtb-[0-9a-f]{8,17}$/, 'rtb-0123456789abcdef0')).min(1),
  }),
]);

const network = z
  .strictObject({
    vpcId: matching(/^vpc-[0-9a-f]{8,17}$/, 'vpc-0123456789abcdef0'),
    availabilityZones: z.array(matching(/^[a-z0-9-]+[a-z]$/, 'eu-west-1a')).min(2),
    /** One of each zone, in that order; without a route from the internet. */
    privateSubnetIds: z.array(subnet).min(2),
    egress,
  })
  .refine(({ availabilityZones, privateSubnetIds }) => availabilityZones.length === privateSubnetIds.length, {
    path: ['privateSubnetIds'],
    message: 'has as many entries as availabilityZones, in the same order',
  })
  .refine(
    ({ privateSubnetIds, egress }) => egress.kind === 'nat' || egress.routeTableIds.length === privateSubnetIds.length,
    {
      path: ['egress', 'routeTableIds'],
      message: 'has as many entries as privateSubnetIds, in the same order',
    },
  );

const database = z.strictObject({
  /** The writer's endpoint itself: RDS Proxy refuses replication connections. */
  host: matching(/^(?!.*\.proxy-)[a-z0-9.-]+$/, 'db.abc123.eu-west-1.rds.amazonaws.com, and not a proxy'),
  port: z.int().min(1).max(65535).default(5432),
  name: z.string().min(1),
  securityGroupId: matching(/^sg-[0-9a-f]{8,17}$/, 'sg-0123456789abcdef0'),
  /** Of the user that owns the legacy tables and may make roles. */
  administratorSecretArn: secretArn,
  /** Left out when the secret is encrypted with the account's default key. */
  administratorSecretKeyArn: keyArn.optional(),
  /** Which of CloudWatch's dimensions its CPU is under. */
  metrics: z.union([
    z.strictObject({ instanceIdentifier: z.string().min(1) }),
    z.strictObject({ clusterIdentifier: z.string().min(1) }),
  ]),
});

const schedule = matching(/^(rate|cron)\(.+\)$/, 'rate(5 minutes)');
const days = z.int().min(1).max(3653);

/** Retentions that CloudWatch Logs knows: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html */
const logDays = z.union([7, 14, 30, 60, 90, 120, 180, 365].map((known) => z.literal(known)));

/** MiB of memory for each share of a CPU: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size */
const fargateMemory: Readonly<Record<number, readonly [least: number, most: number]>> = {
  256: [512, 2048],
  512: [1024, 4096],
  1024: [2048, 8192],
  2048: [4096, 16384],
};

function problemOfMemory({ cpu, memoryMiB }: { cpu: number; memoryMiB: number }): string | undefined {
  const [least, most] = fargateMemory[cpu] ?? [0, 0];
  const isSize = memoryMiB % 1024 === 0 || memoryMiB === 512;
  if (isSize && memoryMiB >= least && memoryMiB <= most) return undefined;
  const sizes = cpu === 256 ? '512, 1024 or 2048' : `${least} to ${most}, in steps of 1024`;
  return `with cpu ${cpu} Fargate takes ${sizes}`;
}

const shared = {
  /** Of the deployment; part of every name. */
  name: matching(/^[a-z][a-z0-9-]{0,19}$/, 'prod (lower case, digits and dashes, 20 at most)'),
  /** Data outlives the stacks: tearing down, or replacing a resource, deletes no queue, secret, report or log. */
  production: z.boolean(),
  tags: z.record(z.string(), z.string()).default({}),
  shards: z.int().min(1).max(4096).default(defaultShards),
  apply: z
    .strictObject({
      /** Functions at once: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html */
      concurrency: z.int().min(2).max(1000).default(apply.concurrency),
      memoryMiB: z.int().min(256).max(10240).default(1024),
    })
    .prefault({}),
  listener: z
    .strictObject({
      cpu: z.union([256, 512, 1024, 2048].map((known) => z.literal(known))).default(512),
      memoryMiB: z.int().min(512).max(16384).default(1024),
      /** Node and nothing else, pinned: what is deployed again is the same image. */
      baseImage: matching(
        /^[a-z0-9./:-]+@sha256:[0-9a-f]{64}$/,
        'gcr.io/distroless/nodejs24-debian12:nonroot@sha256:…',
      ),
    })
    .superRefine((listener, context) => {
      const message = problemOfMemory(listener);
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['memoryMiB'], message });
    }),
  validation: z
    .strictObject({
      counts: schedule.default('rate(5 minutes)'),
      /** Each invocation goes on where the last one ended, so this is also how fast a large pass advances. */
      rows: schedule.default('rate(30 minutes)'),
      upkeep: schedule.default('rate(1 day)'),
      memoryMiB: z.int().min(256).max(10240).default(1024),
    })
    .prefault({}),
  alarms: z.strictObject({
    email: z.email(),
    /** Where this checkout can be read; runbooks are named below it. */
    repositoryUrl: z.url(),
    /** The migration's counts behind the strategy's two alerts on data. */
    counts: z.record(z.string(), z.string()).default({
      user_subscription_count_match: 'subscription_migration',
      media_file_migration_complete: 'media_migration',
    }),
    queryP95Ms: z.number().positive().default(500),
    databaseCpuPercent: z.number().positive().max(100).default(80),
    dataMigrationDays: z.number().positive().default(7),
    slotLagBytes: z
      .int()
      .positive()
      .default(1024 ** 3),
    slotLostInMinutes: z.number().positive().default(60),
    oldestInFlightMinutes: z.number().positive().default(5),
    listenerStalledMinutes: z.number().positive().default(10),
    validationOverdueHours: z.number().positive().default(24),
  }),
  retention: z
    .strictObject({ logDays: logDays.default(90), reportDays: days.default(365), rotationDays: days.default(30) })
    .prefault({}),
};

/** A database that exists, in a VPC that exists. */
const existing = z.strictObject({
  kind: z.literal('existing'),
  account: matching(/^\d{12}$/, '111122223333'),
  region: matching(/^[a-z]{2}(-[a-z]+)+-\d$/, 'eu-west-1'),
  network,
  database,
  ...shared,
});

/** An empty account: VPC and database are made, with the legacy schema and so many users in it. */
const trial = z.strictObject({
  kind: z.literal('trial'),
  users: z.int().min(0).max(100_000).default(1_000),
  ...shared,
  production: z.literal(false),
});

export const configSchema = z.discriminatedUnion('kind', [existing, trial]);
export type Config = z.infer<typeof configSchema>;
