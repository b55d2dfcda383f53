import { defaultShards, environment } from '../../infra/contract.ts';
import { createSqsClient } from '../../infra/sqs/client.ts';
import { createAwsTelemetry } from '../../infra/telemetry/aws.ts';
import { migration } from '../../sql/migration.ts';
import { setting } from '../settings.ts';
import { listenToBoth } from './both.ts';
import { answerLiveness } from './liveness.ts';

/** The container's entry: one long-running process; a second one is a hot standby. SIGTERM finishes the round. */
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());
using telemetry = createAwsTelemetry({ service: 'listener', flushEveryMs: 10_000 });
const livenessPort = process.env[environment.livenessPort];
await using _liveness = livenessPort === undefined ? undefined : await answerLiveness(Number(livenessPort));
const end = await listenToBoth({
  client: createSqsClient(),
  queueUrl: setting(environment.queueUrl),
  deadLetterQueueUrl: process.env[environment.deadLetterQueueUrl],
  migration,
  shards: Number(process.env[environment.shards] ?? defaultShards),
  telemetry,
  signal: stop.signal,
  standby: true,
});
if (end === 'complete') telemetry.log('info', 'listener.complete; the service can be scaled to 0');
