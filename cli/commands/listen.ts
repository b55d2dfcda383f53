import { listenToBoth } from '../../functions/listener/both.ts';
import { setting } from '../../functions/settings.ts';
import { defaultShards, environment } from '../../infra/contract.ts';
import { createSqsClient } from '../../infra/sqs/client.ts';
import type { CommandSpec } from '../command.ts';
import { loadMigration } from '../migration-folder.ts';
import { wholeNumber } from '../options.ts';

interface Options {
  readonly standby?: true;
  readonly shards: number;
}

export const listen: CommandSpec<Options> = {
  name: 'listen',
  summary: 'captures changes and sends them to the queue, of both directions once armed, until it is stopped',
  examples: [
    ['listen', 'makes the slot on first start, and asks for the first backfill'],
    ['listen --standby', 'waits while another listener has the slot'],
  ],
  service: 'listener',
  configure(command) {
    command
      .option('--standby', 'wait for the slot instead of refusing to start while another listener has it')
      .option('--shards <n>', 'groups of the queue', wholeNumber(1, 4096), defaultShards);
  },
  async run({ output, signal, folder, telemetry }, { standby = false, shards }) {
    const migration = await loadMigration(folder);
    const queueUrl = setting(environment.queueUrl);
    const end = await listenToBoth({
      client: createSqsClient(),
      queueUrl,
      deadLetterQueueUrl: process.env[environment.deadLetterQueueUrl],
      migration,
      shards,
      telemetry,
      signal,
      standby,
      onCapturing: (direction) =>
        output.print(
          { event: 'capturing', direction, queueUrl },
          `Capturing the changes of the ${direction} direction, sending them to ${queueUrl}`,
        ),
    });
    if (end === 'complete') {
      output.print(
        { event: 'listening-ended', reason: 'complete' },
        'The migration is complete: there is nothing left to keep in step, and no listener is needed any more.',
      );
    }
    return 0;
  },
};
