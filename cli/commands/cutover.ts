import { type Command, Option } from 'commander';
import type { CommandSpec } from '../command.ts';
import { duration } from '../options.ts';
import { runSwitch, type SwitchRequest } from '../switch-run.ts';

const day = 24 * 60 * 60_000;

/** Options of every change of the direction. */
export function switchOptions(command: Command): void {
  command
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only say what is against it; nothing is locked')
    .addOption(
      new Option('--max-pause <time>', 'how long writers may wait, such as 200ms')
        .default(5_000, '5s')
        .argParser(duration),
    )
    .addOption(
      new Option('--validated-within <time>', 'how old the last validation may be, such as 30m')
        .default(day, '24h')
        .argParser(duration),
    );
}

export const cutover: CommandSpec<SwitchRequest> = {
  name: 'cutover',
  summary: 'makes the normalized tables the truth, in one transaction, or changes nothing',
  examples: [
    ['cutover --dry-run', 'what is against it, each with what to do; exit 1 when anything is'],
    ['cutover --max-pause 500ms', 'asks first; writers wait half a second at most, or nothing has happened'],
    ['cutover --yes --json', 'from a pipeline'],
  ],
  configure: switchOptions,
  run: (context, options) =>
    runSwitch(
      context,
      'cutover',
      `Writers of the legacy tables will wait for up to ${options.maxPause} ms; from then on the legacy tables refuse the application's writes, and the flags say that it is to use the normalized ones.`,
      options,
    ),
};
