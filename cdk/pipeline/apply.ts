import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { apply as contract, environment } from '../../infra/contract.ts';
import type { Deployment } from '../shared/deployment.ts';
import { createFunction } from '../shared/function.ts';
import { sendTo } from '../shared/send-to.ts';
import type { Queues } from './queues.ts';

/**
 * The apply function and its event source: batches of the FIFO queue, partial responses, and as many instances as the
 * configuration allows. The cap is the event source's, which reserves nothing of the account's concurrency and does not
 * receive messages only to throttle them: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
 */
export function createApply(
  scope: Construct,
  deployment: Deployment,
  { queue, deadLetters }: Queues,
  secret: ISecret,
): LambdaFunction {
  const { config, prefix } = deployment;
  const { lambda, role } = createFunction(scope, deployment, {
    name: 'apply',
    description: `${prefix}: merges what the queue's messages name`,
    secret,
    timeoutSeconds: contract.timeoutSeconds,
    memoryMiB: config.apply.memoryMiB,
    environment: {
      [environment.queueUrl]: queue.queueUrl,
      [environment.deadLetterQueueUrl]: deadLetters.queueUrl,
      [environment.applyConcurrency]: String(config.apply.concurrency),
    },
  });
  // What is left of a backfill is sent on; what nobody can read is set aside.
  sendTo(role, deployment, queue, deadLetters);
  lambda.addEventSource(
    new SqsEventSource(queue, {
      batchSize: contract.batchSize,
      reportBatchItemFailures: true,
      maxConcurrency: config.apply.concurrency,
    }),
  );
  return lambda;
}
