import { complete as completeMigration } from '../../engine/complete/complete.ts';
import { environment } from '../../infra/contract.ts';
import type { CommandSpec } from '../command.ts';
import { confirm } from '../confirm.ts';
import { openFor } from '../database.ts';
import { loadMigration } from '../migration-folder.ts';
import { seconds } from '../options.ts';
import { completeText } from '../text/complete.ts';

interface Options {
  readonly yes?: true;
  /** Milliseconds. */
  readonly timeout: number;
}

const what =
  'The legacy tables are backed up, compared once more with the normalized ones, and dropped; slots and publications too. `lockstep restore` gives the tables back.';

export const complete: CommandSpec<Options> = {
  name: 'complete',
  summary: 'ends the migration: backup, optimization, final validation, drop of the legacy tables',
  examples: [
    ['complete', 'asks first; exit 1 when something is in the way, and nothing is dropped'],
    ['complete --yes', 'does not ask; run it again after a failure, it goes on where it was'],
    ['complete --yes --json', 'for machines'],
  ],
  configure(command) {
    command
      .option('--yes', 'do not ask')
      .option('--timeout <s>', 'how long what has been committed may take to be applied, in seconds', seconds, 60_000)
      .addHelpText('after', `\nThe user of ${environment.databaseUrl} must own the tables.`);
  },
  async run(context, { yes, timeout }) {
    const { telemetry, signal, output, folder } = context;
    const migration = await loadMigration(folder);
    await confirm(what, yes === true);
    await using database = await openFor(context, 'complete', 6);
    const { pool } = database;
    const client = await pool.connect();
    try {
      const result = await completeMigration({
        client,
        pool,
        migration,
        folder,
        telemetry,
        signal,
        barrierTimeoutMs: timeout,
        onPart: (part) => telemetry.log('info', part),
      });
      output.print({ event: 'complete', ...result }, completeText(result));
      return result.outcome === 'complete' && result.leftovers.length === 0 ? 0 : 1;
    } finally {
      client.release(true);
    }
  },
};
