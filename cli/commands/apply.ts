import { apply as contract } from '../../infra/contract.ts';
import { applyQueue } from '../apply-queue.ts';
import type { CommandSpec } from '../command.ts';
import { wholeNumber } from '../options.ts';

interface Options {
  readonly concurrency: number;
}

export const apply: CommandSpec<Options> = {
  name: 'apply',
  summary: 'applies messages of the queue, until it is stopped; what the Lambda function does, as a process',
  examples: [
    ['apply', 'eight batches at once'],
    ['apply --concurrency 2 --json', 'structured logs and metrics on stdout'],
  ],
  service: 'apply',
  configure(command) {
    command.option('--concurrency <n>', 'batches in hand at once', wholeNumber(1, 100), contract.concurrency);
  },
  async run({ output, signal, folder, telemetry }, { concurrency }) {
    const onStarted = (queueUrl: string) =>
      output.print({ event: 'applying', queueUrl }, `Applying messages of ${queueUrl}`);
    await applyQueue({ folder, concurrency, telemetry, signal, onStarted });
    return 0;
  },
};
