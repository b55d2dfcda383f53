import { loadDirection } from '../../engine/migration/load.ts';
import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import type { CommandSpec } from '../command.ts';
import { openFor } from '../database.ts';
import { directionOf, loadMigration } from '../migration-folder.ts';
import { seconds } from '../options.ts';

interface Options {
  /** Milliseconds. */
  readonly timeout: number;
}

export const retry: CommandSpec<Options> = {
  name: 'retry',
  summary: 'merges the quarantined scopes again',
  examples: [['retry', 'exit 0 when quarantine is empty afterwards, 1 when scopes remain']],
  configure(command) {
    command.option('--timeout <s>', 'how long to try at most, in seconds', seconds, 600_000);
  },
  async run(context, { timeout }) {
    const migration = await loadMigration(context.folder);
    await using database = await openFor(context, 'retry');
    const { pool } = database;
    const name = await activeDirection(pool);
    const loaded = await loadDirection(pool, name, directionOf(migration, name));
    const { telemetry } = context;
    const result = await retryQuarantined({ pool, loaded, telemetry, deadlineMs: Date.now() + timeout });
    const text = {
      done: `Tried ${result.tried} scopes; ${result.remaining} remain in quarantine.`,
      fenced: 'Nothing was merged: the other direction is active now.',
      'out of time': `The time was up; ${result.remaining} scopes remain in quarantine.`,
    }[result.outcome];
    context.output.print({ event: 'retried', ...result }, text);
    return result.outcome === 'done' && result.remaining === 0 ? 0 : 1;
  },
};
