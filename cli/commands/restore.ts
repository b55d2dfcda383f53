import { restore as restoreLegacy } from '../../engine/complete/restore.ts';
import { environment } from '../../infra/contract.ts';
import type { CommandSpec } from '../command.ts';
import { confirm } from '../confirm.ts';
import { openFor } from '../database.ts';
import { loadMigration } from '../migration-folder.ts';
import { restoreText } from '../text/complete.ts';

interface Options {
  readonly yes?: true;
}

const what =
  'The legacy tables are made again from the backup and brought up to date from the normalized ones, which stay the truth.';

export const restore: CommandSpec<Options> = {
  name: 'restore',
  summary: 'gives the legacy tables back after `complete`, from the backup and the normalized tables',
  examples: [
    ['restore', 'asks first; the phase is `reverse` afterwards'],
    ['restore --yes', 'does not ask'],
  ],
  configure(command) {
    command
      .option('--yes', 'do not ask')
      .addHelpText('after', `\nThe user of ${environment.databaseUrl} must own the tables.`);
  },
  async run(context, { yes }) {
    const { telemetry, signal, output, folder } = context;
    const migration = await loadMigration(folder);
    await confirm(what, yes === true);
    await using database = await openFor(context, 'restore', 6);
    const { pool } = database;
    const client = await pool.connect();
    try {
      const onPart = (part: string) => telemetry.log('info', part);
      const result = await restoreLegacy({ client, pool, migration, folder, telemetry, signal, onPart });
      output.print({ event: 'restored', ...result }, restoreText(result));
      return result.derived === 'finished' ? 0 : 1;
    } finally {
      client.release(true);
    }
  },
};
