import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { loadDirection } from '../../engine/migration/load.ts';
import { armable, arm as armMigration } from '../../engine/phases/arm.ts';
import { readLossiness } from '../../engine/phases/lossiness.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import { readStream } from '../../engine/status/queries.ts';
import type { CommandSpec } from '../command.ts';
import { confirm } from '../confirm.ts';
import { openFor } from '../database.ts';
import { loadMigration } from '../migration-folder.ts';
import { seconds } from '../options.ts';
import { lossinessText } from '../text/switch.ts';

interface Options {
  readonly yes?: true;
  /** Milliseconds. */
  readonly timeout: number;
}

export const arm: CommandSpec<Options> = {
  name: 'arm',
  summary: 'prepares the way back, and says what would not survive it',
  examples: [
    ['arm', 'asks first; as the owner of the tables. Exit 1 while the way back is not captured'],
    ['arm --yes --json', 'the whole report'],
  ],
  configure(command) {
    command
      .option('--yes', 'do not ask')
      .option(
        '--timeout <s>',
        'how long to wait for the listener to capture the way back, in seconds',
        seconds,
        30_000,
      );
  },
  async run(context, { yes, timeout }) {
    const { folder, telemetry, output, signal } = context;
    const migration = armable(await loadMigration(folder));
    const what =
      'Triggers and a publication are made on both sides: each table is locked for a moment, and a second slot keeps WAL from now on.';
    await confirm(what, yes === true);
    await using database = await openFor(context, 'arm');
    const { pool } = database;
    const client = await pool.connect();
    try {
      await armMigration({ client, migration, telemetry });
    } finally {
      client.release(true);
    }
    const captured = await isCaptured(pool, timeout, signal);
    const loaded = await loadDirection(pool, 'reverse', migration.reverse);
    const lossiness = await readLossiness(pool, loaded, migration.reverse, await activeDirection(pool));
    const text = captured
      ? 'Armed: the way back is captured.'
      : 'Armed, but no listener has made the slot of the way back yet: start `lockstep listen` (a running one does so by itself).';
    const next = 'Next: `lockstep validate`. A cutover asks for one that began after this.';
    output.print({ event: 'armed', captured, ...lossiness }, `${text}\n${lossinessText(lossiness)}\n${next}`);
    return captured ? 0 : 1;
  },
};

async function isCaptured(pool: pg.Pool, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    if ((await readStream(pool, 'reverse')).slot?.active) return true;
    if (Date.now() >= deadlineMs || signal.aborted) return false;
    await delay(250, undefined, { signal }).catch(() => undefined);
  }
}
