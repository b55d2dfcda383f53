import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import {
  type DeduplicationScope,
  type FifoThroughputLimit,
  Queue,
  QueueEncryption,
  type QueueProps,
} from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { queue as contract, deadLetterAttributes, queueAttributes } from '../../infra/contract.ts';
import type { Deployment } from '../shared/deployment.ts';

export interface Queues {
  readonly queue: Queue;
  readonly deadLetters: Queue;
}

/** The queue and its dead-letter queue, with the attributes that the local machine gives them too; TLS only, encrypted. */
export function createQueues(parent: Construct, { config, prefix, key }: Deployment): Queues {
  const scope = new Construct(parent, 'Queues');
  const common: QueueProps = {
    encryption: QueueEncryption.KMS,
    encryptionMasterKey: key,
    // How long SQS uses a data key before it asks KMS again: a day, for the price of KMS requests.
    dataKeyReuse: Duration.days(1),
    enforceSSL: true,
    removalPolicy: config.production ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  };
  const deadLetters = new Queue(scope, 'DeadLetters', {
    ...common,
    ...propsOf(deadLetterAttributes()),
    queueName: `${prefix}-dead.fifo`,
  });
  const queue = new Queue(scope, 'Queue', {
    ...common,
    ...propsOf(queueAttributes(deadLetters.queueArn)),
    queueName: `${prefix}.fifo`,
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: contract.maxReceiveCount },
  });
  return { queue, deadLetters };
}

/** CreateQueue's attributes as CDK's properties; the redrive policy is the caller's. */
function propsOf(attributes: Readonly<Record<string, string>>): QueueProps {
  const seconds = (name: string) => {
    const value = attributes[name];
    return value === undefined ? undefined : Duration.seconds(Number(value));
  };
  const visibilityTimeout = seconds('VisibilityTimeout');
  const receiveMessageWaitTime = seconds('ReceiveMessageWaitTimeSeconds');
  const retentionPeriod = seconds('MessageRetentionPeriod');
  return {
    fifo: attributes.FifoQueue === 'true',
    contentBasedDeduplication: attributes.ContentBasedDeduplication === 'true',
    deduplicationScope: attributes.DeduplicationScope as DeduplicationScope,
    fifoThroughputLimit: attributes.FifoThroughputLimit as FifoThroughputLimit,
    maxMessageSizeBytes: Number(attributes.MaximumMessageSize),
    ...(visibilityTimeout && { visibilityTimeout }),
    ...(receiveMessageWaitTime && { receiveMessageWaitTime }),
    ...(retentionPeriod && { retentionPeriod }),
  };
}
