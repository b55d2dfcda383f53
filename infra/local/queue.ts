import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { LockstepError } from '../../engine/errors.ts';
import { deadLetterAttributes, queue, queueAttributes } from '../contract.ts';
import { createSqsClient } from '../sqs/client.ts';
import { type Emulator, startEmulator } from './emulator.ts';

export interface LocalQueueOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Where messages survive a restart. Default: nowhere. */
  readonly dataDirectory?: string;
}

export interface LocalQueue extends AsyncDisposable {
  /** For AWS_ENDPOINT_URL_SQS. */
  readonly endpoint: string;
  readonly region: string;
  readonly queueUrl: string;
  readonly queueArn: string;
  readonly deadLetterQueueUrl: string;
  /** A new client of this queue; the caller destroys it. */
  client(): SQSClient;
  stop(): Promise<void>;
}

const region = 'us-east-1';
const account = '000000000000';

/**
 * An SQS emulator on 127.0.0.1 with the queue and its dead-letter queue, which have the attributes of production.
 * Throws LS_PORT_IN_USE.
 */
export async function startQueue(options: LocalQueueOptions = {}): Promise<LocalQueue> {
  const emulator = await listen(options);
  const endpoint = `http://127.0.0.1:${emulator.port}`;
  const client = () =>
    createSqsClient({ endpoint, region, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } });
  const setup = client();
  try {
    await createQueue(setup, endpoint, queue.deadLetterName, deadLetterAttributes());
    await createQueue(setup, endpoint, queue.name, queueAttributes(arnOf(queue.deadLetterName)));
  } catch (error) {
    await emulator.stop();
    throw error;
  } finally {
    setup.destroy();
  }
  return {
    endpoint,
    region,
    queueUrl: urlOf(endpoint, queue.name),
    queueArn: arnOf(queue.name),
    deadLetterQueueUrl: urlOf(endpoint, queue.deadLetterName),
    client,
    stop: () => emulator.stop(),
    [Symbol.asyncDispose]: () => emulator.stop(),
  };
}

async function listen({ port = 0, dataDirectory }: LocalQueueOptions): Promise<Emulator> {
  try {
    return await startEmulator(port, dataDirectory);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new LockstepError('LS_PORT_IN_USE', `Port ${port} on 127.0.0.1, wanted for the queue, is taken.`, { cause });
  }
}

/** A queue kept from an earlier version may have other attributes, which CreateQueue would refuse. */
async function createQueue(client: SQSClient, endpoint: string, name: string, attributes: Record<string, string>) {
  const QueueUrl = urlOf(endpoint, name);
  try {
    await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
  } catch (error) {
    if ((error as Error).name !== 'QueueDoesNotExist') throw error;
    await client.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }));
    return;
  }
  const settable = Object.entries(attributes).filter(([attribute]) => !fifoAttributes.has(attribute));
  await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: Object.fromEntries(settable) }));
}

/** What the emulator takes at creation only. */
const fifoAttributes = new Set(['FifoQueue', 'ContentBasedDeduplication', 'DeduplicationScope', 'FifoThroughputLimit']);

/** By address and not by the emulator's own `sqs.REGION.localhost`, which not every resolver knows. */
const urlOf = (endpoint: string, name: string) => `${endpoint}/${account}/${name}`;

const arnOf = (name: string) => `arn:aws:sqs:${region}:${account}:${name}`;
