/**
 * What the deployment, the functions and the local machine have to agree on. It imports nothing, so that all of them
 * can read it. Limits: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
 */

/** Groups of the queue (MessageGroupId): how many merges can be in hand at once without waiting on each other's locks. */
export const defaultShards = 16;

export const apply = {
  /** The most that Lambda takes of a FIFO queue in one batch. */
  batchSize: 10,
  timeoutSeconds: 60,
  /** Functions at once; also how many pollers the local machine and `lockstep apply` run. */
  concurrency: 8,
} as const;

export const queue = {
  name: 'lockstep.fifo',
  deadLetterName: 'lockstep-dead.fifo',
  /** Six times the function's: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html */
  visibilityTimeoutSeconds: 6 * apply.timeoutSeconds,
  retentionSeconds: 14 * 24 * 60 * 60,
  /**
   * The most that SQS allows. Data that cannot be stored is quarantined and a malformed message is dead-lettered by the
   * function; what is received so often is a good message in a long outage, and it must not be lost to the queue.
   */
  maxReceiveCount: 1000,
} as const;

/** Limits of SQS itself. A batch's limit is on the sum of its messages, bodies and attributes. */
export const sqsLimits = {
  batchEntries: 10,
  batchBytes: 1024 * 1024,
  longPollSeconds: 20,
} as const;

/** For CreateQueue. The key (KMS) is the deployment's. */
export function deadLetterAttributes(): Record<string, string> {
  return {
    FifoQueue: 'true',
    ContentBasedDeduplication: 'false',
    DeduplicationScope: 'messageGroup',
    FifoThroughputLimit: 'perMessageGroupId',
    MessageRetentionPeriod: String(queue.retentionSeconds),
    MaximumMessageSize: String(sqsLimits.batchBytes),
  };
}

/** For CreateQueue: the dead-letter queue's, and where messages go that were received too often. */
export function queueAttributes(deadLetterArn: string): Record<string, string> {
  return {
    ...deadLetterAttributes(),
    VisibilityTimeout: String(queue.visibilityTimeoutSeconds),
    ReceiveMessageWaitTimeSeconds: String(sqsLimits.longPollSeconds),
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: deadLetterArn, maxReceiveCount: queue.maxReceiveCount }),
  };
}

/** Names of environment variables. */
export const environment = {
  databaseUrl: 'LOCKSTEP_DATABASE_URL',
  /** A Secrets Manager secret as RDS writes it; instead of the URL. */
  databaseSecretArn: 'LOCKSTEP_DATABASE_SECRET_ARN',
  /** What the secret leaves out: one that RDS manages holds user and password only. */
  databaseHost: 'LOCKSTEP_DATABASE_HOST',
  databasePort: 'LOCKSTEP_DATABASE_PORT',
  databaseName: 'LOCKSTEP_DATABASE_NAME',
  /** PEM file of the authorities that sign the server's certificate (RDS's bundle). */
  databaseCaFile: 'LOCKSTEP_DATABASE_CA_FILE',
  queueUrl: 'LOCKSTEP_QUEUE_URL',
  deadLetterQueueUrl: 'LOCKSTEP_DEAD_LETTER_QUEUE_URL',
  shards: 'LOCKSTEP_SHARDS',
  /** How many instances of the apply function there may be at once; the server's lock table is checked against it. */
  applyConcurrency: 'LOCKSTEP_APPLY_CONCURRENCY',
  logLevel: 'LOCKSTEP_LOG_LEVEL',
  /** Where validation reports are kept: an S3 bucket, or a folder of this machine. */
  reportBucket: 'LOCKSTEP_REPORT_BUCKET',
  reportFolder: 'LOCKSTEP_REPORT_FOLDER',
  /** Instead of `metricNamespace`: deployments that share an account keep their metrics apart. */
  metricNamespace: 'LOCKSTEP_METRIC_NAMESPACE',
  /** Port on which the listener answers, on loopback, that it is alive. */
  livenessPort: 'LOCKSTEP_LIVENESS_PORT',
  /** JSON: by database role the ARN of the secret whose password it gets. */
  roleSecrets: 'LOCKSTEP_ROLE_SECRETS',
  /** Of a trial: make the legacy schema, with so many users in it. */
  trialUsers: 'LOCKSTEP_TRIAL_USERS',
} as const;

/** Roles of the database that the deployed parts connect as; sql/roles.sql makes them. */
export const databaseRoles = {
  listener: 'lockstep_listener',
  applier: 'lockstep_applier',
  validator: 'lockstep_validator',
  monitor: 'lockstep_monitor',
  /** People, with the command line. */
  operator: 'lockstep_operator',
} as const;

export const metricNamespace = 'Lockstep';

/** What functions/health publishes each minute, and alarms are about. What does not apply at the moment is left out. */
export const statusMetrics = {
  /** 1: the state could be read. */
  published: 'status_published',
  /** How long the listener has given no sign of life, or has confirmed nothing although WAL was written. */
  listenerStalled: 'status_listener_stalled_ms',
  /** WAL that was written and not sent to the queue. */
  slotLag: 'status_slot_lag_bytes',
  /** When the slot will be lost at the present rate of writes; 0 when it is. */
  slotLostIn: 'status_slot_lost_in_ms',
  oldestInFlight: 'status_oldest_in_flight_ms',
  quarantinedScopes: 'status_quarantined_scopes',
  /** Since the backfill that is under way was asked for. */
  backfillAge: 'status_backfill_age_ms',
  /** How long that backfill will have taken if it goes on as it has. */
  backfillProjected: 'status_backfill_projected_ms',
  /** Since the start of the last validation that compared everything and came to an answer. */
  validationAge: 'status_validation_age_ms',
  /** 1: that answer was that the two sides differ. */
  validationDiffers: 'status_validation_differs',
  /** Rows that it proved to differ. */
  driftedRows: 'status_drifted_rows',
  /** 95 % of the calls since the last look are of statements whose mean time was at most this. */
  queryP95: 'status_query_p95_ms',
} as const;

/** Statements of the migration's upkeep that failed; 0 after one that went well. */
export const upkeepFailed = 'upkeep_failed';

/** Rows by which the two sides of a migration's count differed in the last validation. */
export function checkMetric(check: string): string {
  return `check_${check}_difference`;
}

export type MetricUnit = 'Count' | 'Bytes' | 'Milliseconds';

/** A metric's CloudWatch unit, which is the last part of its name (`apply_lag_ms`); without one it is a count. */
export function metricUnit(name: string): MetricUnit {
  if (name.endsWith('_ms')) return 'Milliseconds';
  return name.endsWith('_bytes') ? 'Bytes' : 'Count';
}
