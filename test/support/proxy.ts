import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SqsRequest {
  /** `SendMessageBatch`, `ReceiveMessage`… */
  readonly action: string;
  readonly body: Record<string, unknown>;
}

export interface SqsAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Answers in the queue's place, or changes the request on its way (`forward`) and the answer on its way back. */
export type Interceptor = (
  request: SqsRequest,
  forward: (body: Record<string, unknown>) => Promise<SqsAnswer>,
) => Promise<SqsAnswer>;

export interface SqsProxy extends AsyncDisposable {
  readonly endpoint: string;
}

/** Stands between an SQS client and its queue, on the wire, to refuse what the emulator never refuses. */
export async function sqsProxy(endpoint: string, intercept: Interceptor): Promise<SqsProxy> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const action = String(request.headers['x-amz-target']).split('.')[1] ?? '';
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
    const answer = await intercept({ action, body }, (changed) => forward(endpoint, request.headers, changed)).catch(
      () => undefined,
    );
    if (!answer) return response.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(answer.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function forward(
  endpoint: string,
  headers: IncomingHttpHeaders,
  body: Record<string, unknown>,
): Promise<SqsAnswer> {
  const passed = ['x-amz-target', 'content-type', 'authorization'];
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: Object.fromEntries(passed.map((name) => [name, String(headers[name])])),
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
