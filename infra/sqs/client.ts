import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';

export interface SqsClientOptions extends SQSClientConfig {
  /** Its host names the region, which is right whatever the environment says. */
  readonly queueUrl?: string;
}

/** Longer than a receive may wait (20 s). A service that says nothing for longer is asked again. */
const requestHandler = { connectionTimeout: 5_000, requestTimeout: 30_000, throwOnRequestTimeout: true };

/**
 * A client with kept-alive connections. Endpoint (AWS_ENDPOINT_URL_SQS) and credentials come from the usual AWS settings
 * unless given; so does the region, unless the queue is AWS's or on this machine.
 */
export function createSqsClient({ queueUrl, ...config }: SqsClientOptions = {}): SQSClient {
  const region = queueUrl === undefined ? undefined : regionOf(queueUrl);
  return new SQSClient({ requestHandler, ...(region !== undefined && { region }), ...config });
}

/** `https://sqs.eu-west-1.amazonaws.com/…` is in eu-west-1; the local queue in us-east-1; of others it cannot be told. */
export function regionOf(queueUrl: string): string | undefined {
  const host = URL.canParse(queueUrl) ? new URL(queueUrl).hostname : '';
  const named = /^sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$/.exec(host)?.[1];
  return named ?? (host === '127.0.0.1' || host === 'localhost' ? 'us-east-1' : undefined);
}
