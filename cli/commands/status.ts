import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { WalSample } from '../../engine/status/health.ts';
import { shownDirection } from '../../engine/status/phase.ts';
import { readStatus } from '../../engine/status/status.ts';
import { isDatabaseLost } from '../../infra/postgres/explain.ts';
import type { Answer, CommandSpec, Context } from '../command.ts';
import { openFor } from '../database.ts';
import { describeFailure } from '../failure.ts';
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
    ['status --watch', 'again and again, also while the database is away; tells the time until the slot is lost, too'],
    ['status --json', 'for machines'],
  ],
  configure(command) {
    command
      .option('--watch', 'again and again, until Ctrl-C')
      .option('--interval <s>', 'how often with --watch, in seconds', seconds, 1000);
  },
  async run(context, { watch, interval }) {
    await using database = await openFor(context, 'status', 1, answerTimeoutMs);
    const look = (before?: WalSample) => show(context, database.pool, before, watch === true);
    const away = (error: unknown): Shown => {
      if (!isDatabaseLost(error)) throw error;
      const { exitCode: _, ...failure } = describeFailure(error);
      context.output.complain({ event: 'error', ...failure }, `${failure.message} It is asked again.`);
      return { answer: 1 };
    };
    let { answer, sample }: Shown = await look();
    while (watch && !context.signal.aborted) {
      await delay(interval, undefined, { signal: context.signal }).catch(() => {});
      if (!context.signal.aborted) ({ answer, sample } = await look(sample).catch(away));
    }
    return answer;
  },
};

interface Shown {
  readonly answer: Answer;
  /** Of the WAL, when it could be asked for. */
  readonly sample?: WalSample;
}

/** A server that takes longer for one of the short questions of `status` is gone, or as good as gone. */
const answerTimeoutMs = 30_000;

const clearScreen = '\x1b[H\x1b[2J';

async function show({ output }: Context, pool: pg.Pool, before: WalSample | undefined, watch: boolean) {
  const { status, sample } = await readStatus(pool, await shownDirection(pool), before);
  const clear = watch && process.stdout.isTTY ? clearScreen : '';
  output.print({ event: 'status', ...status }, clear + statusText(status, output.paint));
  const answer: Answer = status.findings.some(({ level }) => level === 'broken') ? 1 : 0;
  return { answer, sample };
}
