import { ComparisonOperator, type Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { checkMetric, statusMetrics, upkeepFailed } from '../../infra/contract.ts';
import type { PipelineStack } from '../pipeline/stack.ts';
import type { ValidationStack } from '../validation/stack.ts';
import { databaseCpu, errorsOf, fiveMinutes, own } from './metrics.ts';

export interface AlarmSpec {
  /** Name of its runbook too: docs/runbooks/NAME.md. */
  readonly name: string;
  readonly severity: 'critical' | 'warning';
  /** What it means, in a sentence. */
  readonly meaning: string;
  readonly metric: Metric;
  readonly comparison: ComparisonOperator;
  readonly threshold: number;
  /** Periods in a row. */
  readonly periods: number;
  readonly missing: TreatMissingData;
}

const above = ComparisonOperator.GREATER_THAN_THRESHOLD;
const below = ComparisonOperator.LESS_THAN_THRESHOLD;
const minutesMs = 60_000;
const hoursMs = 60 * minutesMs;
const daysMs = 24 * hoursMs;

/** The strategy's "Alerts and Thresholds", line by line, and what can go wrong with the synchronization itself. */
export function alarmsOf(pipeline: PipelineStack, validation: ValidationStack): AlarmSpec[] {
  return [...strategyAlarms(pipeline), ...streamAlarms(pipeline), ...workAlarms(pipeline, validation)];
}

function strategyAlarms({ deployment }: PipelineStack): AlarmSpec[] {
  const { alarms } = deployment.config;
  const counts = Object.entries(alarms.counts).map(
    ([alert, check]): AlarmSpec => ({
      name: alert.replaceAll('_', '-'),
      severity: 'critical',
      meaning: `The count ${check} differs between the two sides: rows are missing.`,
      metric: own(deployment, 'health', checkMetric(check)),
      comparison: above,
      threshold: 0,
      // A count that moves under traffic is not a difference yet; the next one settles it.
      periods: 2,
      missing: TreatMissingData.IGNORE,
    }),
  );
  return [
    ...counts,
    {
      name: 'query-response-time-p95',
      severity: 'warning',
      meaning: 'The application’s queries have become slow.',
      metric: own(deployment, 'health', statusMetrics.queryP95),
      comparison: above,
      threshold: alarms.queryP95Ms,
      periods: 5,
      // Without pg_stat_statements there is nothing to see; then the alarm shows INSUFFICIENT_DATA, not OK.
      missing: TreatMissingData.MISSING,
    },
    {
      name: 'database-cpu-usage',
      severity: 'warning',
      meaning: 'The database is short of CPU.',
      metric: databaseCpu(deployment),
      comparison: above,
      threshold: alarms.databaseCpuPercent,
      periods: 3,
      missing: TreatMissingData.MISSING,
    },
    {
      name: 'data-migration-duration',
      severity: 'warning',
      meaning: 'The backfill has taken longer than planned.',
      metric: own(deployment, 'health', statusMetrics.backfillAge),
      comparison: above,
      threshold: alarms.dataMigrationDays * daysMs,
      periods: 1,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      name: 'backfill-behind-plan',
      severity: 'warning',
      meaning: 'At the rate so far the backfill will take longer than planned.',
      metric: own(deployment, 'health', statusMetrics.backfillProjected, 'Maximum', fiveMinutes),
      comparison: above,
      threshold: alarms.dataMigrationDays * daysMs,
      periods: 12,
      missing: TreatMissingData.NOT_BREACHING,
    },
  ];
}

function streamAlarms({ deployment }: PipelineStack): AlarmSpec[] {
  const { alarms } = deployment.config;
  return [
    {
      name: 'listener-not-confirming',
      severity: 'critical',
      meaning: 'Changes are not captured, and WAL piles up in the database.',
      metric: own(deployment, 'health', statusMetrics.listenerStalled),
      comparison: above,
      threshold: alarms.listenerStalledMinutes * minutesMs,
      periods: 1,
      missing: TreatMissingData.IGNORE,
    },
    {
      name: 'slot-lag',
      severity: 'warning',
      meaning: 'The listener is behind: more WAL waits for it than it should.',
      metric: own(deployment, 'health', statusMetrics.slotLag),
      comparison: above,
      threshold: alarms.slotLagBytes,
      periods: 5,
      missing: TreatMissingData.IGNORE,
    },
    {
      name: 'slot-lost-soon',
      severity: 'critical',
      meaning: 'The slot is lost, or will be soon; then everything has to be derived again.',
      metric: own(deployment, 'health', statusMetrics.slotLostIn, 'Minimum'),
      comparison: below,
      threshold: alarms.slotLostInMinutes * minutesMs,
      periods: 2,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      name: 'status-not-published',
      severity: 'critical',
      meaning: 'The state of the migration cannot be read, so the other alarms see nothing.',
      metric: own(deployment, 'health', statusMetrics.published, 'SampleCount', fiveMinutes),
      comparison: below,
      threshold: 1,
      periods: 2,
      missing: TreatMissingData.BREACHING,
    },
  ];
}

function workAlarms({ deployment, queues, apply }: PipelineStack, { validate }: ValidationStack): AlarmSpec[] {
  const { alarms } = deployment.config;
  return [
    {
      name: 'oldest-in-flight',
      severity: 'critical',
      meaning: 'A change that was sent long ago has not been applied.',
      metric: own(deployment, 'health', statusMetrics.oldestInFlight),
      comparison: above,
      threshold: alarms.oldestInFlightMinutes * minutesMs,
      periods: 2,
      missing: TreatMissingData.IGNORE,
    },
    {
      name: 'dead-letters',
      severity: 'critical',
      meaning: 'A message was set aside; the watermark stays before it, and a cutover is blocked.',
      metric: queues.deadLetters.metricApproximateNumberOfMessagesVisible({
        period: fiveMinutes,
        statistic: 'Maximum',
      }),
      comparison: above,
      threshold: 0,
      periods: 1,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      name: 'quarantine',
      severity: 'warning',
      meaning: 'Rows cannot be stored as they are; they are missing or outdated on the other side.',
      metric: own(deployment, 'health', statusMetrics.quarantinedScopes),
      comparison: above,
      threshold: 0,
      periods: 5,
      missing: TreatMissingData.IGNORE,
    },
    {
      name: 'apply-errors',
      severity: 'critical',
      meaning: 'The apply function fails as a whole: changes wait in the queue.',
      metric: errorsOf(apply),
      comparison: above,
      threshold: 0,
      periods: 3,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      name: 'validation-failed',
      severity: 'critical',
      meaning: 'A validation has proved that the two sides differ.',
      metric: own(deployment, 'health', statusMetrics.validationDiffers),
      comparison: above,
      threshold: 0,
      periods: 1,
      missing: TreatMissingData.IGNORE,
    },
    {
      name: 'validation-overdue',
      severity: 'warning',
      meaning: 'No validation has compared everything for too long: nobody knows whether the two sides agree.',
      metric: own(deployment, 'health', statusMetrics.validationAge),
      comparison: above,
      threshold: alarms.validationOverdueHours * hoursMs,
      periods: 5,
      missing: TreatMissingData.IGNORE,
    },
    {
      name: 'validation-errors',
      severity: 'warning',
      meaning: 'The scheduled counts could not be made.',
      metric: errorsOf(validate),
      comparison: above,
      threshold: 0,
      periods: 3,
      missing: TreatMissingData.NOT_BREACHING,
    },
    {
      name: 'upkeep-failed',
      severity: 'warning',
      meaning: 'What the migration wants done each day, such as the next partitions, could not be done.',
      metric: own(deployment, 'validate', upkeepFailed),
      comparison: above,
      threshold: 0,
      periods: 1,
      // Once a day; what failed stays failed until the next one.
      missing: TreatMissingData.IGNORE,
    },
  ];
}
