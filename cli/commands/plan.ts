import { defaultSqsPrice, defaultWriteFactor } from '../../engine/plan/estimate.ts';
import { plan as readPlan } from '../../engine/plan/plan.ts';
import { apply as contract } from '../../infra/contract.ts';
import type { CommandSpec } from '../command.ts';
import { openFor } from '../database.ts';
import { loadMigration } from '../migration-folder.ts';
import { factor, seconds, wholeNumber } from '../options.ts';
import { createLiveText } from '../text/live.ts';
import { planText } from '../text/plan.ts';

interface Options {
  readonly concurrency: number;
  /** Milliseconds. */
  readonly timeout: number;
  readonly sample: number;
  readonly writeFactor: number;
  readonly sqsPrice: number;
  readonly sqsPriceSource: string;
}

export const plan: CommandSpec<Options> = {
  name: 'plan',
  summary: 'says what this migration will do to this database, and what stands in its way; changes nothing',
  examples: [
    ['plan', 'exit 1 when something stands in the way; each finding with its fix'],
    ['plan --concurrency 16', 'with twice as many appliers: do connections and locks suffice?'],
    ['plan --sqs-price 0.59 --sqs-price-source eu-central-1', "another region's price"],
    ['plan --json', 'for machines'],
  ],
  configure(command) {
    command
      .option('--concurrency <n>', 'appliers at once', wholeNumber(1, 1000), contract.concurrency)
      .option('--timeout <s>', 'how long one question about the data may take, in seconds', seconds, 60_000)
      .option(
        '--sample <n>',
        'scopes of each target that are derived, to measure how long it takes',
        wholeNumber(1, 100_000),
        2000,
      )
      .option(
        '--write-factor <f>',
        'how much longer a backfill takes than deriving its rows',
        factor,
        defaultWriteFactor,
      )
      .option('--sqs-price <dollars>', 'of a million FIFO requests', factor, defaultSqsPrice.perMillionRequests)
      .option('--sqs-price-source <text>', 'where that price is from', defaultSqsPrice.source);
  },
  async run(context, options) {
    const migration = await loadMigration(context.folder);
    await using database = await openFor(context, 'plan', 1);
    const live = createLiveText(context.output);
    const result = await readPlan({
      pool: database.pool,
      migration,
      concurrency: options.concurrency,
      price: { perMillionRequests: options.sqsPrice, source: options.sqsPriceSource },
      writeFactor: options.writeFactor,
      sampleScopes: options.sample,
      statementTimeoutMs: options.timeout,
      onStep: (text) => live.show(undefined, [`reading ${text} …`]),
    });
    live.clear();
    context.output.print({ event: 'plan', ...result }, planText(result, context.output.paint));
    return result.preflight.some(({ level }) => level === 'blocker') ? 1 : 0;
  },
};
