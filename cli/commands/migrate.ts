import { migrate as migrateDatabase } from '../../engine/steps/migrate.ts';
import { environment } from '../../infra/contract.ts';
import type { CommandSpec } from '../command.ts';
import { openFor } from '../database.ts';
import { loadMigration } from '../migration-folder.ts';

interface Options {
  readonly legacy?: true;
}

export const migrate: CommandSpec<Options> = {
  name: 'migrate',
  summary: 'applies the numbered SQL that is due, and makes the publication',
  examples: [
    ['migrate', 'safe to run again, and side by side'],
    ['migrate --legacy', 'on an empty database: makes the legacy schema (step 000) first'],
    ['migrate --migration ../other/sql', 'another migration folder'],
  ],
  configure(command) {
    command
      .option('--legacy', 'also apply step 000, the legacy schema; for an empty database')
      .addHelpText('after', `\nThe user of ${environment.databaseUrl} must own the legacy tables.`);
  },
  async run(context, { legacy = false }) {
    const migration = await loadMigration(context.folder);
    await using database = await openFor(context, 'migrate', 1);
    const client = await database.pool.connect();
    try {
      const { telemetry, folder } = context;
      const result = await migrateDatabase({ client, migration, folder, legacy, telemetry });
      const steps = result.applied.map(({ owner, name }) => ({ owner, name }));
      const names = steps.map(({ owner, name }) => `  ${owner}: ${name}`);
      const text = names.length === 0 ? 'Nothing was due.' : `Applied:\n${names.join('\n')}`;
      context.output.print(
        { event: 'migrated', steps, publication: result.publication },
        `${text}\nThe publication is ${result.publication === 'unchanged' ? 'as it was' : result.publication}.`,
      );
      return 0;
    } finally {
      // Steps may have changed the session's settings.
      client.release(true);
    }
  },
};
