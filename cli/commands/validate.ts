import { writeFile } from 'node:fs/promises';
import { LockstepError } from '../../engine/errors.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import { reportPage } from '../../engine/validate/page/page.ts';
import { validate as validateDirection } from '../../engine/validate/validate.ts';
import type { CommandSpec } from '../command.ts';
import { openFor } from '../database.ts';
import { directionOf, loadMigration } from '../migration-folder.ts';
import { percent, seconds, wholeNumber } from '../options.ts';
import { createLiveText } from '../text/live.ts';
import { reportText } from '../text/report.ts';
import { countText } from '../text/units.ts';

interface Options {
  readonly target?: readonly string[];
  readonly sample?: number;
  readonly counts?: true;
  readonly repair?: true;
  readonly html?: string;
  readonly resume?: true;
  /** Rows per second. */
  readonly rate?: number;
  /** Active sessions. */
  readonly maxLoad?: number;
  /** Milliseconds. */
  readonly timeLimit?: number;
  /** Milliseconds. */
  readonly timeout: number;
}

export const validate: CommandSpec<Options> = {
  name: 'validate',
  summary: 'compares every row of every target with what it should be, under live traffic, without false alarms',
  examples: [
    ['validate', 'exit 0 when every target agrees, 1 when one does not'],
    ['validate --repair', 'merge what has drifted, and compare it again'],
    ['validate --html report.html', 'a page for people as well'],
    ['validate --target media_files', 'this target only'],
    ['validate --sample 1', 'one scope of a hundred'],
    ['validate --time-limit 600 --resume', 'ten minutes of a long one, from where the last ten ended'],
    ['validate --json', 'the whole report'],
  ],
  configure(command) {
    command
      .option('--target <name...>', 'these targets only')
      .option('--sample <p>', 'so many percent of the scopes, chosen anew each time', percent)
      .option('--counts', "the migration's counts only, no rows")
      .option('--repair', 'merge what has drifted, and compare it again')
      .option('--html <file>', 'write the report as a page')
      .option('--resume', 'go on with a validation that was interrupted')
      .option('--time-limit <s>', 'stop after so many seconds; --resume goes on', seconds)
      .option('--rate <n>', 'at most so many rows per second', wholeNumber(1))
      .option('--max-load <n>', 'hold back while more sessions than this are active', wholeNumber(1))
      .option('--timeout <s>', 'how long to wait for what is in flight, in seconds', seconds, 60_000);
  },
  async run(context, options) {
    const { folder, telemetry, signal, output } = context;
    const migration = await loadMigration(folder);
    await using database = await openFor(context, 'validate');
    const { pool } = database;
    const name = await activeDirection(pool);
    const loaded = await loadDirection(pool, name, directionOf(migration, name));
    const live = createLiveText(output);
    const { target, sample, rate, maxLoad, timeLimit } = options;
    const report = await validateDirection({
      pool,
      loaded,
      telemetry,
      signal,
      resume: options.resume ?? false,
      repair: options.repair ?? false,
      countsOnly: options.counts ?? false,
      barrierTimeoutMs: options.timeout,
      ...(target && { targets: target }),
      ...(sample !== undefined && { samplePercent: sample }),
      ...(rate !== undefined && { rowsPerSecond: rate }),
      ...(maxLoad !== undefined && { maxLoad }),
      ...(timeLimit !== undefined && { deadlineMs: Date.now() + timeLimit }),
      onProgress: (at, compared) => live.show(undefined, [`${at}: ${countText(compared)} rows compared`]),
    });
    live.clear();
    output.print({ event: 'validated', ...report }, reportText(report, output.paint));
    if (options.html !== undefined) await writePage(options.html, reportPage(report, migration.name));
    return report.agrees ? 0 : 1;
  },
};

async function writePage(file: string, page: string): Promise<void> {
  try {
    await writeFile(file, page);
  } catch (error) {
    throw new LockstepError('LS_REPORT_UNWRITABLE', `The page could not be written to ${file}.`, { cause: error });
  }
}
