import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { Deployment } from '../shared/deployment.ts';

/** Where alarms go: TLS only, encrypted, one address, which has to confirm. */
export function createTopic(scope: Construct, { config, prefix, key }: Deployment): Topic {
  const topic = new Topic(scope, 'Alarms', {
    topicName: `${prefix}-alarms`,
    displayName: `Lockstep ${config.name}`,
    masterKey: key,
    enforceSSL: true,
  });
  // A policy of one's own replaces the default one, by which alarms of the account may publish:
  // https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html#sns-allow-specified-service-to-publish
  const { account, region, partition } = Stack.of(scope);
  topic.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: {
        StringEquals: { 'aws:SourceAccount': account },
        ArnLike: { 'aws:SourceArn': `arn:${partition}:cloudwatch:${region}:${account}:alarm:${prefix}-*` },
      },
    }),
  );
  topic.addSubscription(new EmailSubscription(config.alarms.email));
  return topic;
}
