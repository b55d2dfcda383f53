import type pg from 'pg';
import { readBackfill, setBackfillPaused } from '../../engine/backfill/record.ts';
import type { DirectionName } from '../../engine/migration/contract.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import { runToEnd } from '../backfill-run.ts';
import type { Answer, CommandSpec, Context } from '../command.ts';
import { openFor } from '../database.ts';
import { wholeNumber } from '../options.ts';
import { progressText } from '../text/progress.ts';

export interface BackfillCommandOptions {
  readonly pause?: true;
  readonly resume?: true;
  readonly status?: true;
  readonly target?: readonly string[];
  readonly maxLoad?: number;
  readonly forgetInFlight?: true;
}

export const backfill: CommandSpec<BackfillCommandOptions> = {
  name: 'backfill',
  summary: 'derives whole targets again, chunk by chunk; goes on with a run that has not ended',
  examples: [
    ['backfill', 'starts a run, or goes on with one; Ctrl-C at any time, it resumes from there'],
    ['backfill --status', 'how far it is'],
    ['backfill --pause', 'after the chunk under way; whoever runs it stops'],
    ['backfill --target media_files', 'this target only'],
    ['backfill --forget-in-flight', 'the queue was lost: derives everything, and strikes its messages out'],
  ],
  configure(command) {
    command
      .option('--pause', 'pause the run')
      .option('--resume', 'go on with a paused run')
      .option('--status', 'only say how far it is')
      .option('--target <name...>', 'these targets only; a run that has not ended is done first')
      .option('--max-load <n>', 'hold back while the application has more active sessions than this', wholeNumber(1))
      .option(
        '--forget-in-flight',
        'its end strikes out all that is in flight now; a run that has not ended is done first',
      );
  },
  async run(context, options) {
    await using database = await openFor(context, 'backfill');
    const direction = await activeDirection(database.pool);
    if (options.status) return await showStatus(context, database.pool, direction);
    if (options.pause) return await pause(context, database.pool, direction);
    if (options.resume) await setBackfillPaused(database.pool, direction, false);
    return await runToEnd(context, database.pool, direction, options);
  },
};

async function showStatus({ output }: Context, pool: pg.Pool, direction: DirectionName): Promise<Answer> {
  const targets = await readBackfill(pool, direction);
  const text =
    targets.length === 0 ? 'There has been no backfill.' : targets.map((target) => progressText(target)).join('\n');
  output.print({ event: 'backfill', targets }, text);
  return targets.every(({ finishedAt }) => finishedAt !== null) ? 0 : 1;
}

async function pause({ output }: Context, pool: pg.Pool, direction: DirectionName): Promise<Answer> {
  const runs = await setBackfillPaused(pool, direction, true);
  const text = runs === 0 ? 'No backfill is under way.' : 'The backfill pauses after the chunk under way.';
  output.print({ event: 'paused', runs }, text);
  return runs === 0 ? 1 : 0;
}
