import { once } from 'node:events';
import { openDashboard } from '../../dashboard/open.ts';
import type { CommandSpec } from '../command.ts';
import { loadMigration } from '../migration-folder.ts';
import { port, seconds } from '../options.ts';

interface Options {
  readonly port?: number;
  /** Milliseconds. */
  readonly interval: number;
}

/** Nobody looks, or it is about what changes slowly. */
const slowEveryMs = 10_000;

export const dashboard: CommandSpec<Options> = {
  name: 'dashboard',
  summary: 'serves a live page about the migration on 127.0.0.1; it only shows',
  examples: [
    ['dashboard', 'until Ctrl-C'],
    ['dashboard --port 8080', 'there, or not at all'],
    ['dashboard --interval 10', 'asks the database each ten seconds while someone looks'],
  ],
  configure(command) {
    command
      .option('--port <n>', 'port of the page (default: 4141, or a free one)', port)
      .option('--interval <s>', 'how often to ask the database while someone looks, in seconds', seconds, 2_000);
  },
  async run({ folder, telemetry, output, signal }, options) {
    const migration = await loadMigration(folder);
    const cadence = {
      everyMs: options.interval,
      idleEveryMs: Math.max(slowEveryMs, options.interval),
      detailsEveryMs: Math.max(slowEveryMs, options.interval),
    };
    await using page = await openDashboard({
      migration,
      telemetry,
      cadence,
      ...(options.port === undefined ? {} : { port: options.port }),
    });
    output.print({ event: 'ready', dashboardUrl: page.url }, `The page is at ${page.url} (Ctrl-C ends it)`);
    if (!signal.aborted) await once(signal, 'abort');
    return 0;
  },
};
