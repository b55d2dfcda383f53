import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SecretsServer extends AsyncDisposable {
  readonly endpoint: string;
  /** By ARN; a test changes it as a rotation would. */
  readonly values: Map<string, string>;
  /** How often each was read. */
  readonly reads: Map<string, number>;
}

/** Secrets Manager's GetSecretValue on the wire: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
export async function secretsServer(): Promise<SecretsServer> {
  const values = new Map<string, string>();
  const reads = new Map<string, number>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { SecretId: arn } = JSON.parse(Buffer.concat(chunks).toString()) as { SecretId: string };
    const value = request.headers['x-amz-target'] === 'secretsmanager.GetSecretValue' ? values.get(arn) : undefined;
    reads.set(arn, (reads.get(arn) ?? 0) + 1);
    response.writeHead(value === undefined ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(
      JSON.stringify(value === undefined ? { __type: 'ResourceNotFoundException' } : { ARN: arn, SecretString: value }),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    values,
    reads,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
