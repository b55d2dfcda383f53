import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { WalSample } from '../../engine/status/health.ts';
import { shownDirection } from '../../engine/status/phase.ts';
import { readStatus } from '../../engine/status/status.ts';
import type { Answer, CommandSpec, Context } from '../command.ts';
import { openFor } from '../database.ts';
import { seconds } from '../options.ts';
import { statusText } from '../text/status.ts';

interface Options {
  readonly watch?: true;
  /** Milliseconds. */
  readonly interval: number;
}

export const status: CommandSpec<Options> = {
  name: 'status',
  summary: 'says where the migration stands',
  examples: [
    ['status', 'exit 1 when something is broken: no listener, a slot lost, messages stuck'],
    ['status --watch', 'again and again; also tells the time until the slot is lost'],
    ['status --json', 'for machines'],
  ],
  configure(command) {
    command
      .option('--watch', 'again and again, until Ctrl-C')
      .option('--interval <s>', 'how often with --watch, in seconds', seconds, 1000);
  },
  async run(context, { watch, interval }) {
    await using database = await openFor(context, 'status', 1);
    let { answer, sample } = await show(context, database.pool, undefined, watch === true);
    while (watch && !context.signal.aborted) {
      await delay(interval, undefined, { signal: context.signal }).catch(() => {});
      if (!context.signal.aborted) ({ answer, sample } = await show(context, database.pool, sample, true));
    }
    return answer;
  },
};

const clearScreen = '\x1b[H\x1b[2J';

async function show({ output }: Context, pool: pg.Pool, before: WalSample | undefined, watch: boolean) {
  const { status, sample } = await readStatus(pool, await shownDirection(pool), before);
  const clear = watch && process.stdout.isTTY ? clearScreen : '';
  output.print({ event: 'status', ...status }, clear + statusText(status, output.paint));
  const answer: Answer = status.findings.some(({ level }) => level === 'broken') ? 1 : 0;
  return { answer, sample };
}
