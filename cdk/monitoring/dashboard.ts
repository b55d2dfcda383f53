import { Dashboard, GraphWidget, type IMetric, PeriodOverride, SingleValueWidget } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { statusMetrics } from '../../infra/contract.ts';
import type { PipelineStack } from '../pipeline/stack.ts';
import { databaseCpu, own } from './metrics.ts';

/** One page: how far the other side is behind, what is on its way, what is wrong, and what it costs the database. */
export function createDashboard(scope: Construct, { deployment, queues, apply }: PipelineStack): Dashboard {
  const status = (metric: string) => own(deployment, 'health', metric);
  const sum = (service: 'listener' | 'apply', metric: string) => own(deployment, service, metric, 'Sum');
  const graph = (title: string, ...left: IMetric[]) => new GraphWidget({ title, left, width: 12, height: 6 });
  return new Dashboard(scope, 'Dashboard', {
    dashboardName: deployment.prefix,
    periodOverride: PeriodOverride.INHERIT,
    widgets: [
      [
        new SingleValueWidget({
          title: 'Now',
          width: 24,
          metrics: [
            status(statusMetrics.listenerStalled),
            status(statusMetrics.slotLag),
            status(statusMetrics.slotLostIn),
            status(statusMetrics.oldestInFlight),
            status(statusMetrics.quarantinedScopes),
            status(statusMetrics.driftedRows),
            status(statusMetrics.validationAge),
          ],
        }),
      ],
      [
        graph(
          'Commit to applied (ms)',
          own(deployment, 'apply', 'apply_lag_ms', 'p50'),
          own(deployment, 'apply', 'apply_lag_ms', 'p99'),
        ),
        graph('WAL not sent (bytes)', status(statusMetrics.slotLag), own(deployment, 'listener', 'capture.lag_bytes')),
      ],
      [
        graph('Captured', sum('listener', 'capture.changes'), sum('listener', 'capture.messages')),
        graph('Applied', sum('apply', 'apply_scopes'), sum('apply', 'apply_rows_written')),
      ],
      [
        graph(
          'Queue',
          queues.queue.metricApproximateNumberOfMessagesVisible(),
          queues.queue.metricApproximateNumberOfMessagesNotVisible(),
          queues.deadLetters.metricApproximateNumberOfMessagesVisible(),
        ),
        graph('Requests to SQS', sum('listener', 'sqs_requests'), sum('listener', 'sqs_entries_retried')),
      ],
      [
        graph('Apply function', apply.metricInvocations(), apply.metricErrors(), apply.metricThrottles()),
        graph('Database', databaseCpu(deployment), status(statusMetrics.queryP95)),
      ],
    ],
  });
}
