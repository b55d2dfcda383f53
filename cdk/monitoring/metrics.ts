import { Duration } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Deployment } from '../shared/deployment.ts';

export const minute = Duration.minutes(1);
export const fiveMinutes = Duration.minutes(5);

type Service = 'listener' | 'apply' | 'validate' | 'health';

/** A metric that a part of Lockstep publishes; infra/telemetry gives each the dimension `service`. */
export function own(
  { metricNamespace }: Deployment,
  service: Service,
  metricName: string,
  statistic = 'Maximum',
  period = minute,
): Metric {
  return new Metric({ namespace: metricNamespace, metricName, dimensionsMap: { service }, statistic, period });
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html */
export function databaseCpu({ database }: Deployment): Metric {
  return new Metric({
    namespace: 'AWS/RDS',
    metricName: 'CPUUtilization',
    dimensionsMap: { ...database.metricDimensions },
    statistic: 'Average',
    period: fiveMinutes,
  });
}

export function errorsOf(lambda: LambdaFunction): Metric {
  return lambda.metricErrors({ period: fiveMinutes, statistic: 'Sum' });
}
