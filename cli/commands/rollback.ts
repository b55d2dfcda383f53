import { loadDirection } from '../../engine/migration/load.ts';
import { armable } from '../../engine/phases/arm.ts';
import { readLossiness } from '../../engine/phases/lossiness.ts';
import { syncBack } from '../../engine/phases/sync.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import type { CommandGroup, CommandSpec } from '../command.ts';
import { confirm } from '../confirm.ts';
import { openFor } from '../database.ts';
import { loadMigration } from '../migration-folder.ts';
import { seconds } from '../options.ts';
import { runSwitch, type SwitchRequest } from '../switch-run.ts';
import { lossinessText } from '../text/switch.ts';
import { switchOptions } from './cutover.ts';

const plan: CommandSpec<object> = {
  name: 'plan',
  summary: 'says what the way back would write into the legacy tables, and what it cannot carry',
  examples: [['rollback plan', 'exit 1 when anything would be lost']],
  configure() {},
  async run(context) {
    const migration = armable(await loadMigration(context.folder));
    await using database = await openFor(context, 'rollback');
    const { pool } = database;
    const loaded = await loadDirection(pool, 'reverse', migration.reverse);
    const lossiness = await readLossiness(pool, loaded, migration.reverse, await activeDirection(pool));
    context.output.print({ event: 'rollback-plan', ...lossiness }, lossinessText(lossiness));
    return lossiness.losses.length > 0 ? 1 : 0;
  },
};

interface SyncRequest {
  readonly yes?: true;
  readonly all?: true;
  /** Milliseconds. */
  readonly timeout: number;
}

const sync: CommandSpec<SyncRequest> = {
  name: 'sync',
  summary: 'brings the legacy tables up to date',
  examples: [
    ['rollback sync', 'waits until everything that has been committed is in the legacy tables'],
    ['rollback sync --all', 'derives every legacy row again; Ctrl-C at any time, it resumes from there'],
  ],
  configure(command) {
    command
      .option('--all', 'derive every legacy row again, not only what has changed')
      .option('--yes', 'do not ask')
      .option('--timeout <s>', 'how long at most, in seconds', seconds, 600_000);
  },
  async run(context, { yes, all, timeout }) {
    const { telemetry, signal, output, folder } = context;
    const migration = await loadMigration(folder);
    if (all) {
      const what =
        'Every legacy row becomes what the normalized tables say; `lockstep rollback plan` shows which would change.';
      await confirm(what, yes === true);
    }
    await using database = await openFor(context, 'rollback');
    const deadlineMs = Date.now() + timeout;
    const result = await syncBack({
      pool: database.pool,
      migration,
      everything: all === true,
      deadlineMs,
      signal,
      telemetry,
    });
    const text = {
      synced: `Everything committed up to ${result.lsn} is in the legacy tables.`,
      continue: 'The time was up before everything was applied; run it again, to go on. `lockstep status` says more.',
      paused: 'The run is paused; `lockstep backfill --resume` goes on.',
      fenced: 'The direction has changed meanwhile.',
    }[result.outcome];
    output.print({ event: 'rollback-sync', ...result }, text);
    return result.outcome === 'synced' ? 0 : 1;
  },
};

const turn: CommandSpec<SwitchRequest> = {
  name: 'switch',
  summary: 'makes the legacy tables the truth again, in one transaction, or changes nothing',
  examples: [
    ['rollback switch --dry-run', 'what is against it, each with what to do'],
    ['rollback switch --max-pause 500ms', 'asks first'],
  ],
  configure: switchOptions,
  run: (context, options) =>
    runSwitch(
      context,
      'rollback',
      `Writers of the normalized tables will wait for up to ${options.maxPause} ms; from then on the normalized tables refuse the application's writes, and the flags say that it is to use the legacy ones.`,
      options,
    ),
};

export const rollback: CommandGroup = {
  name: 'rollback',
  summary: 'the way back to the legacy tables: plan, sync, switch',
  commands: [plan, sync, turn],
};
