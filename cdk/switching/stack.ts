import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { environment } from '../../infra/contract.ts';
import type { PipelineStack } from '../pipeline/stack.ts';
import { createFunction } from '../shared/function.ts';

export interface SwitchingProps extends StackProps {
  readonly pipeline: PipelineStack;
}

/** As long as a function may run; what is left goes on with the next invocation. */
const timeoutSeconds = 15 * 60;

/**
 * What turns the direction: functions that people invoke, and that nothing else does. Who has the policy may invoke them
 * and may do nothing else with it.
 */
export class SwitchingStack extends Stack {
  readonly cutover: LambdaFunction;
  readonly rollbackSync: LambdaFunction;

  constructor(scope: Construct, id: string, { pipeline, ...props }: SwitchingProps) {
    super(scope, id, props);
    const { deployment, secrets, queues } = pipeline;
    const { prefix } = deployment;
    const common = { secret: secrets.operator, timeoutSeconds, memoryMiB: 512 };
    const cutover = createFunction(this, deployment, {
      ...common,
      name: 'cutover',
      description: `${prefix}: turns the direction, by hand`,
      environment: { [environment.deadLetterQueueUrl]: queues.deadLetters.queueUrl },
    });
    cutover.role.addToPolicy(
      new PolicyStatement({ actions: ['sqs:GetQueueAttributes'], resources: [queues.deadLetters.queueArn] }),
    );
    const rollbackSync = createFunction(this, deployment, {
      ...common,
      name: 'rollback-sync',
      description: `${prefix}: brings the legacy tables up to date, by hand`,
    });
    this.cutover = cutover.lambda;
    this.rollbackSync = rollbackSync.lambda;
    const invokers = new ManagedPolicy(this, 'Invokers', {
      managedPolicyName: `${prefix}-switching`,
      description: `${prefix}: invoke cutover and rollback-sync`,
      statements: [
        new PolicyStatement({
          actions: ['lambda:InvokeFunction'],
          resources: [this.cutover.functionArn, this.rollbackSync.functionArn],
        }),
      ],
    });
    new CfnOutput(this, 'InvokersPolicy', { value: invokers.managedPolicyArn });
  }
}
