import { once } from 'node:events';
import { listenToBoth } from '../../../functions/listener/both.ts';
import { setting } from '../../../functions/settings.ts';
import { defaultShards, environment } from '../../../infra/contract.ts';
import { createSqsClient } from '../../../infra/sqs/client.ts';
import { loadMigration } from '../../migration-folder.ts';
import { serve } from '../worker-process.ts';

await serve(async ({ folder, telemetry, signal, ready }) => {
  const end = await listenToBoth({
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
  // The machine goes on: the page shows the end, and `lockstep restore` may give it something to do for another listener.
  if (end === 'complete' && !signal.aborted) await once(signal, 'abort');
});
