import { listenToBoth } from '../../../functions/listener/both.ts';
import { setting } from '../../../functions/settings.ts';
import { defaultShards, environment } from '../../../infra/contract.ts';
import { createSqsClient } from '../../../infra/sqs/client.ts';
import { loadMigration } from '../../migration-folder.ts';
import { serve } from '../worker-process.ts';

await serve(async ({ folder, telemetry, signal, ready }) => {
  await listenToBoth({
    client: createSqsClient(),
    queueUrl: setting(environment.queueUrl),
    deadLetterQueueUrl: process.env[environment.deadLetterQueueUrl],
    migration: await loadMigration(folder),
    shards: defaultShards,
    telemetry,
    signal,
    // One that was killed a moment ago may still have the slot.
    standby: true,
    onCapturing: ready,
  });
});
