import { resolve } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import type { Telemetry } from '../engine/telemetry.ts';
import { fail } from './failure.ts';
import { adoptMachine } from './machine-file.ts';
import { defaultFolder } from './migration-folder.ts';
import { seconds } from './options.ts';
import { createOutput, type Output } from './output.ts';
import { stopSignal } from './stop.ts';
import { createTelemetry, type LogSettings } from './telemetry.ts';

/** 0: fine. 1: the answer is no (drift, not caught up). */
export type Answer = 0 | 1;

export interface Context {
  readonly output: Output;
  /** Aborted when the process is asked to stop; a command then ends what it has in hand and returns. */
  readonly signal: AbortSignal;
  /** Absolute path of the migration folder. */
  readonly folder: string;
  readonly telemetry: Telemetry;
}

/** One thing the operator types. `Options` are those that `configure` declares, under Commander's names for them. */
export interface CommandSpec<Options> extends LogSettings {
  readonly name: string;
  readonly summary: string;
  /** What the command is about, when it takes one thing without a name: how the help writes it, and what it is. */
  readonly argument?: readonly [name: string, what: string, choices?: readonly string[]];
  /** Command lines without `lockstep`, each with what it is for. */
  readonly examples: readonly (readonly [string, string])[];
  configure(command: Command): void;
  /** `argument`: empty when the command takes none, or an optional one is left out. */
  run(context: Context, options: Options, argument: string): Promise<Answer>;
}

/** Commands that are typed with a word before them: `lockstep rollback plan`. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  // `never`: each has options of its own, which only `addCommand` hands to it.
  readonly commands: readonly CommandSpec<never>[];
}

interface CommonOptions {
  readonly json?: true;
  readonly migration: string;
}

/** Adds a group with its commands. */
export function addGroup(program: Command, group: CommandGroup): void {
  const parent = program.command(group.name).description(group.summary).helpCommand(false);
  const examples = group.commands.flatMap((spec) => spec.examples);
  parent.addHelpText('after', examplesText(examples));
  for (const spec of group.commands) addCommand(parent, spec);
}

/** Adds a command with the options that all of them have. Whatever it throws becomes a message and an exit code. */
export function addCommand<Options>(program: Command, spec: CommandSpec<Options>): void {
  const command = program
    .command(spec.name)
    .description(spec.summary)
    .option('--json', 'print JSON, one object a line')
    .addOption(
      new Option('--migration <dir>', 'migration folder')
        .default(defaultFolder, 'sql')
        .argParser((dir) => resolve(dir)),
    )
    .addHelpText('after', examplesText(spec.examples));
  if (spec.argument) command.addArgument(argumentOf(spec.argument));
  spec.configure(command);
  sayDefaultsInSeconds(command);
  command.action(async (...typed: readonly unknown[]) => {
    const argument = spec.argument ? ((typed[0] as string | undefined) ?? '') : '';
    const options = command.opts<Options & CommonOptions>();
    const output = createOutput(options.json === true);
    try {
      await adoptMachine();
      using telemetry = await createTelemetry(output.json, spec);
      const context = { output, signal: stopSignal(), folder: options.migration, telemetry };
      process.exitCode = await spec.run(context, options, argument);
    } catch (error) {
      process.exitCode = fail(output, error);
    }
  });
}

/** Such options are typed in seconds and kept in milliseconds, which is nobody's business. */
function sayDefaultsInSeconds(command: Command): void {
  for (const option of command.options)
    if (option.parseArg === seconds && typeof option.defaultValue === 'number')
      option.default(option.defaultValue, String(option.defaultValue / 1000));
}

function argumentOf([name, what, choices]: NonNullable<CommandSpec<never>['argument']>): Argument {
  const argument = new Argument(name, what);
  return choices ? argument.choices(choices) : argument;
}

function examplesText(examples: CommandSpec<never>['examples']): string {
  const width = Math.max(...examples.map(([line]) => line.length));
  return `\nExamples:\n${examples.map(([line, what]) => `  $ lockstep ${line.padEnd(width)}  ${what}`).join('\n')}`;
}
