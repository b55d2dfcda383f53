import { activeDirection } from '../../engine/status/phase.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import type { CommandSpec } from '../command.ts';
import { openFor } from '../database.ts';
import { seconds } from '../options.ts';

interface Options {
  /** Milliseconds. */
  readonly timeout: number;
}

export const wait: CommandSpec<Options> = {
  name: 'wait',
  summary: 'waits until everything that has been committed is applied',
  examples: [
    ['wait', 'exit 0 when all that was committed before is applied, 1 when it takes longer than a minute'],
    ['wait --timeout 600 && lockstep validate', 'after a large change'],
  ],
  configure(command) {
    command.option('--timeout <s>', 'how long to wait at most, in seconds', seconds, 60_000);
  },
  async run(context, { timeout }) {
    await using database = await openFor(context, 'wait', 1);
    const direction = await activeDirection(database.pool);
    const outcome = await passBarrier({ db: database.pool, direction, timeoutMs: timeout, signal: context.signal });
    context.output.print({ event: 'wait', ...outcome }, describe(outcome));
    return outcome.applied ? 0 : 1;
  },
};

function describe(outcome: Awaited<ReturnType<typeof passBarrier>>): string {
  const waited = `after ${(outcome.waitedMs / 1000).toFixed(1)} s`;
  if (outcome.applied) return `Everything committed up to ${outcome.lsn} is applied (${waited}).`;
  const missing = outcome.captured
    ? 'messages are still in flight'
    : 'the listener has not read so far; is it running?';
  return `Not everything up to ${outcome.lsn} is applied ${waited}: ${missing}. \`lockstep status\` says more.`;
}
