import { listenToBoth } from '../../../functions/listener/both.ts';
import { setting } from '../../../functions/settings.ts';
import { defaultShards, environment } from '../../../infra/contract.ts';
import { createSqsClient } from '../../../infra/sqs/client.ts';
import { createAwsTelemetry } from '../../../infra/telemetry/aws.ts';
import { migration } from '../../../sql/migration.ts';
import { hangOnParent } from './lifeline.ts';

/** The listener as it is deployed (functions/listener/main.ts), less patient. */
hangOnParent();
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
using telemetry = createAwsTelemetry({ service: 'listener', flushEveryMs: 1_000 });
await listenToBoth({
  client: createSqsClient(),
  queueUrl: setting(environment.queueUrl),
  deadLetterQueueUrl: setting(environment.deadLetterQueueUrl),
  migration,
  shards: defaultShards,
  telemetry,
  signal: stop.signal,
  standby: true,
  limits: { standbyPollMs: 300, lostAfterMs: 20_000, lookForLostEveryMs: 500 },
});
