import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import type { OutgoingMessage } from '../../../engine/message/message.ts';
import type { Telemetry } from '../../../engine/telemetry.ts';
import { createPublisher } from '../../../infra/sqs/publisher.ts';
import { type Interceptor, type SqsProxy, sqsProxy } from '../../support/proxy.ts';
import { type TestQueue, testQueue } from '../../support/queue.ts';

const outgoing = (count: number): OutgoingMessage[] =>
  Array.from({ length: count }, (_, n) => ({ deduplicationId: `id-${n}`, group: String(n), body: `body ${n}` }));

async function bodies(queue: TestQueue): Promise<string[]> {
  const received: string[] = [];
  for (;;) {
    const ask = { QueueUrl: queue.queueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 0 };
    const { Messages = [] } = await queue.sqs.send(new ReceiveMessageCommand(ask));
    if (Messages.length === 0) return received.sort();
    received.push(...Messages.map(({ Body = '' }) => Body));
  }
}

const expected = (messages: readonly OutgoingMessage[]) => messages.map(({ body }) => body).sort();

function counting(): Telemetry & { readonly sums: Record<string, number> } {
  const sums: Record<string, number> = {};
  return {
    sums,
    log() {},
    measure(name, value) {
      sums[name] = (sums[name] ?? 0) + value;
    },
  };
}

function publisherThrough(proxy: SqsProxy, queue: TestQueue, telemetry: Telemetry) {
  const client = new SQSClient({
    endpoint: proxy.endpoint,
    region: queue.region,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 1,
  });
  const clock = { pauseMs: async () => {} };
  return createPublisher({ client, queueUrl: queue.queueUrl, telemetry, clock });
}

const never = new AbortController().signal;

test('sends everything, ten a request', async () => {
  await using queue = await testQueue();
  const telemetry = counting();
  const messages = outgoing(95);
  await createPublisher({ client: queue.sqs, queueUrl: queue.queueUrl, telemetry }).publish(messages, never);
  expect(await bodies(queue)).toEqual(expected(messages));
  expect(telemetry.sums).toEqual({ sqs_requests: 10, sqs_messages_sent: 95 });
});

test('an entry that SQS refuses is sent again, alone, until it is accepted', async () => {
  await using queue = await testQueue();
  const seen: string[][] = [];
  const refuseTwice: Interceptor = async ({ body }, forward) => {
    const entries = body.Entries as { Id: string; MessageBody: string }[];
    seen.push(entries.map((entry) => entry.MessageBody));
    if (seen.length > 2) return forward(body);
    const refused = entries.filter((entry) => entry.MessageBody === 'body 1' || entry.MessageBody === 'body 3');
    const rest = entries.filter((entry) => !refused.includes(entry));
    const answer =
      rest.length > 0 ? await forward({ ...body, Entries: rest }) : { status: 200, body: { Successful: [] } };
    const Failed = refused.map(({ Id }) => ({ Id, SenderFault: false, Code: 'InternalError' }));
    return { status: 200, body: { ...answer.body, Failed } };
  };
  await using proxy = await sqsProxy(queue.endpoint, refuseTwice);
  const telemetry = counting();
  const messages = outgoing(5);
  await publisherThrough(proxy, queue, telemetry).publish(messages, never);
  expect(seen.slice(1)).toEqual([
    ['body 1', 'body 3'],
    ['body 1', 'body 3'],
  ]);
  expect(await bodies(queue)).toEqual(expected(messages));
  expect(telemetry.sums).toEqual({ sqs_requests: 3, sqs_messages_sent: 5, sqs_entries_retried: 4 });
});

test('an answer that names an entry nowhere has not accepted it', async () => {
  await using queue = await testQueue();
  let requests = 0;
  await using proxy = await sqsProxy(queue.endpoint, async ({ body }, forward) => {
    if (++requests > 1) return forward(body);
    return { status: 200, body: { Successful: [] } };
  });
  await publisherThrough(proxy, queue, counting()).publish(outgoing(2), never);
  expect(await bodies(queue)).toEqual(['body 0', 'body 1']);
});

test('an accepted request whose answer was lost is repeated and delivered once', async () => {
  await using queue = await testQueue();
  let requests = 0;
  await using proxy = await sqsProxy(queue.endpoint, async ({ body }, forward) => {
    const answer = await forward(body);
    if (++requests === 1) throw new Error('the connection breaks');
    return answer;
  });
  await publisherThrough(proxy, queue, counting()).publish(outgoing(3), never);
  expect(requests).toBe(2);
  expect(await bodies(queue)).toEqual(['body 0', 'body 1', 'body 2']);
});

test('throttling and server faults are waited out', async () => {
  await using queue = await testQueue();
  const faults = [
    { status: 400, body: { __type: 'com.amazonaws.sqs#RequestThrottled', message: 'slow down' } },
    { status: 500, body: { __type: 'com.amazonaws.sqs#InternalFailure' } },
    { status: 503, body: { __type: 'ServiceUnavailable' } },
  ];
  await using proxy = await sqsProxy(queue.endpoint, async ({ body }, forward) => faults.shift() ?? forward(body));
  await publisherThrough(proxy, queue, counting()).publish(outgoing(1), never);
  expect(await bodies(queue)).toEqual(['body 0']);
});

test('no such queue is said at once', async () => {
  await using queue = await testQueue();
  const publisher = createPublisher({
    client: queue.sqs,
    queueUrl: `${queue.queueUrl.replace('lockstep', 'nowhere')}`,
  });
  await expect(publisher.publish(outgoing(30), never)).rejects.toMatchObject({
    code: 'LS_QUEUE_REFUSED',
    message: expect.stringMatching(/nowhere\.fifo refuses messages: .*QueueDoesNotExist/),
  });
});

test('access denied is said at once', async () => {
  await using queue = await testQueue();
  let requests = 0;
  await using proxy = await sqsProxy(queue.endpoint, async () => {
    requests++;
    return { status: 403, body: { __type: 'com.amazon.coral.service#AccessDeniedException', message: 'no' } };
  });
  const publishing = publisherThrough(proxy, queue, counting()).publish(outgoing(1), never);
  await expect(publishing).rejects.toMatchObject({ code: 'LS_QUEUE_REFUSED' });
  expect(requests).toBe(1);
});

test('a message that is itself at fault is named', async () => {
  await using queue = await testQueue();
  const wrong = { deduplicationId: 'id-control-character', group: '0', body: 'not allowed: \u0001' };
  const publisher = createPublisher({ client: queue.sqs, queueUrl: queue.queueUrl });
  await expect(publisher.publish([wrong], never)).rejects.toMatchObject({
    code: 'LS_MESSAGE_REFUSED',
    message: expect.stringContaining('id-control-character'),
  });
});

test('aborting ends a publication that cannot succeed', async () => {
  await using queue = await testQueue();
  const stop = new AbortController();
  let requests = 0;
  await using proxy = await sqsProxy(queue.endpoint, async () => {
    if (++requests === 5) stop.abort(new Error('asked to stop'));
    return { status: 500, body: { __type: 'InternalFailure' } };
  });
  const publishing = publisherThrough(proxy, queue, counting()).publish(outgoing(1), stop.signal);
  await expect(publishing).rejects.toThrow('asked to stop');
});

test('credentials that cannot be renewed are waited for, once a request has succeeded', async () => {
  await using queue = await testQueue();
  let away = 0;
  // A container's role: whose credentials have to be asked for again and again.
  const credentials = async () => {
    if (away > 0) {
      away -= 1;
      throw Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' });
    }
    return { accessKeyId: 'local', secretAccessKey: 'local', expiration: new Date(Date.now() + 1) };
  };
  const client = new SQSClient({ endpoint: queue.endpoint, region: queue.region, credentials, maxAttempts: 1 });
  const telemetry = counting();
  const clock = { pauseMs: async () => {} };
  const publisher = createPublisher({ client, queueUrl: queue.queueUrl, telemetry, clock });
  const messages = outgoing(2);
  for (const message of messages) {
    await publisher.publish([message], never);
    away = 2;
  }
  expect([away, telemetry.sums.sqs_entries_retried]).toEqual([2, 2]);
  expect(await bodies(queue)).toEqual(expected(messages));
});
