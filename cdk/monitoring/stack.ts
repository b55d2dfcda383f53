import { Stack, type StackProps } from 'aws-cdk-lib';
import { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Construct } from 'constructs';
import type { PipelineStack } from '../pipeline/stack.ts';
import { createFunction } from '../shared/function.ts';
import { createSchedule } from '../shared/schedule.ts';
import type { ValidationStack } from '../validation/stack.ts';
import { alarmsOf } from './alarm-list.ts';
import { createDashboard } from './dashboard.ts';
import { createTopic } from './topic.ts';

export interface MonitoringProps extends StackProps {
  readonly pipeline: PipelineStack;
  readonly validation: ValidationStack;
}

/** The function that publishes the state each minute, the alarms on it, and a page. */
export class MonitoringStack extends Stack {
  constructor(scope: Construct, id: string, { pipeline, validation, ...props }: MonitoringProps) {
    super(scope, id, props);
    const { deployment, secrets } = pipeline;
    const { config, prefix } = deployment;
    const { lambda } = createFunction(this, deployment, {
      name: 'health',
      description: `${prefix}: publishes the state of the migration`,
      secret: secrets.monitor,
      timeoutSeconds: 30,
      memoryMiB: 256,
    });
    createSchedule(this, 'EachMinute', { name: `${prefix}-health`, expression: 'rate(1 minute)', lambda, input: {} });
    const action = new SnsAction(createTopic(this, deployment));
    for (const spec of alarmsOf(pipeline, validation)) {
      const alarm = new Alarm(this, spec.name, {
        alarmName: `${prefix}-${spec.name}`,
        alarmDescription: `${spec.severity}: ${spec.meaning} What to do: ${config.alarms.repositoryUrl}/docs/runbooks/${spec.name}.md`,
        metric: spec.metric,
        comparisonOperator: spec.comparison,
        threshold: spec.threshold,
        evaluationPeriods: spec.periods,
        treatMissingData: spec.missing,
      });
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
    createDashboard(this, pipeline);
  }
}
