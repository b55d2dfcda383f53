import { Stack } from 'aws-cdk-lib';
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Deployment } from './deployment.ts';

/**
 * Lets a role send to queues, and use the key through SQS only. CDK's grant allows all of `kms:ReEncrypt*` and
 * `kms:GenerateDataKey*`; a producer needs these two:
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
 */
export function sendTo(role: IRole, { key }: Deployment, ...queues: readonly IQueue[]): void {
  role.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['sqs:SendMessage'], resources: queues.map(({ queueArn }) => queueArn) }),
  );
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
      resources: [key.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `sqs.${Stack.of(role).region}.amazonaws.com` } },
    }),
  );
}
