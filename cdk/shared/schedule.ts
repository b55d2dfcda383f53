import { Stack } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';

export interface ScheduleOptions {
  readonly name: string;
  /** `rate(5 minutes)` or `cron(…)`. */
  readonly expression: string;
  readonly lambda: LambdaFunction;
  readonly input: unknown;
}

/**
 * Invokes a function on a schedule, with a role that may do that and nothing else. One that fails is not repeated: the
 * next one comes soon enough, and a late one would only add load.
 */
export function createSchedule(parent: Construct, id: string, options: ScheduleOptions): void {
  const scope = new Construct(parent, id);
  const { functionArn } = options.lambda;
  const role = new Role(scope, 'Role', {
    // https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
    inlinePolicies: {
      invoke: new PolicyDocument({
        statements: [new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [functionArn] })],
      }),
    },
  });
  new CfnSchedule(scope, 'Schedule', {
    name: options.name,
    scheduleExpression: options.expression,
    flexibleTimeWindow: { mode: 'OFF' },
    target: {
      arn: functionArn,
      roleArn: role.roleArn,
      input: JSON.stringify(options.input),
      retryPolicy: { maximumRetryAttempts: 0, maximumEventAgeInSeconds: 60 },
    },
  });
}
