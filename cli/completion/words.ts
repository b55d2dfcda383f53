import type { Argument, Command, Option } from 'commander';

/** What may stand in a place: a directory, a file, one of these words, or something that nobody can guess. */
export type Place = 'directory' | 'file' | 'anything' | readonly string[];

export interface OptionWords {
  readonly flag: string;
  readonly summary: string;
  /** What follows it; undefined: nothing. */
  readonly value: Place | undefined;
}

/** One command with what can be typed behind it. */
export interface CommandWords {
  /** As it is typed: `rollback plan`; empty for the program itself. */
  readonly line: string;
  readonly summary: string;
  readonly commands: readonly CommandWords[];
  readonly options: readonly OptionWords[];
  /** What is completed where neither a command nor an option stands. */
  readonly argument: Place | undefined;
}

/** What placeholders in the help mean: `<dir>`, `<file>`. */
function placeOf(placeholder: string, choices: readonly string[] | undefined): Place {
  if (choices) return choices;
  if (/^dir\b/.test(placeholder)) return 'directory';
  return /^file\b/.test(placeholder) ? 'file' : 'anything';
}

function optionWords(option: Option): OptionWords {
  const placeholder = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1];
  return {
    flag: option.long ?? option.flags,
    summary: option.description,
    value: placeholder === undefined ? undefined : placeOf(placeholder, option.argChoices),
  };
}

const argumentPlace = (argument: Argument | undefined): Place | undefined =>
  argument && placeOf(argument.name(), argument.argChoices);

const help: OptionWords = { flag: '--help', summary: 'options and examples', value: undefined };

/** Everything that can be typed, by Commander's own definition of it. */
export function wordsOf(command: Command, line = ''): CommandWords {
  return {
    line,
    summary: command.description(),
    commands: command.commands.map((child) => wordsOf(child, `${line} ${child.name()}`.trim())),
    options: [...command.options.map(optionWords), help],
    argument: argumentPlace(command.registeredArguments[0]),
  };
}

/** A command and all below it. */
export function allCommands(words: CommandWords): CommandWords[] {
  return [words, ...words.commands.flatMap(allCommands)];
}

/** The word that leads to a command: the last of its line. */
export const lastWord = ({ line }: CommandWords): string => line.split(' ').at(-1) ?? '';
