import { RemovalPolicy } from 'aws-cdk-lib';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Deployment } from './deployment.ts';

/** `/lockstep-NAME/SERVICE`, encrypted, kept as long as the configuration says. */
export function createLogGroup(scope: Construct, { config, prefix, key }: Deployment, service: string): LogGroup {
  return new LogGroup(scope, 'Logs', {
    logGroupName: `/${prefix}/${service}`,
    encryptionKey: key,
    // Days are the values of CDK's RetentionDays.
    retention: config.retention.logDays,
    removalPolicy: config.production ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  });
}
