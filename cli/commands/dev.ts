import type { CommandSpec } from '../command.ts';
import type { DevOptions } from '../dev/run.ts';
import { port, seconds, wholeNumber } from '../options.ts';

export const dev: CommandSpec<DevOptions> = {
  name: 'dev',
  summary: 'everything on this machine: PostgreSQL, queue, legacy data and traffic, listener, appliers, dashboard',
  examples: [
    ['dev', 'until Ctrl-C'],
    ['dev --duration 20', 'twenty seconds of traffic, then drain, validate and print a summary; exit code of validate'],
    ['dev --traffic 0 --json', 'for a program that makes its own changes'],
    ['dev --data /var/lib/lockstep-dev', 'keeps the database; start again to go on, even after kill -9'],
  ],
  // Warnings are of what the dirty data makes happen, and the summary tells it.
  logLevel: 'error',
  configure(command) {
    command
      .option('--pg-port <n>', 'port of PostgreSQL (default: a free one)', port)
      .option('--queue-port <n>', 'port of the queue (default: a free one)', port)
      .option('--dashboard-port <n>', 'port of the dashboard (default: 4141, or a free one)', port)
      .option('--users <n>', 'how much legacy data to make', wholeNumber(0), 1000)
      .option('--traffic <n>', 'legacy transactions per second, 0 for none', wholeNumber(0), 50)
      .option('--duration <s>', 'stop after so many seconds, validate and print a summary', seconds)
      .option('--data <dir>', 'keep database and queue there (default: a temporary directory)');
  },
  async run(context, options) {
    // Here only: the embedded servers are not installed where Lockstep is deployed.
    const { runDev } = await import('../dev/run.ts');
    return await runDev(context, options);
  },
};
