import type { Command } from 'commander';
import type { CommandSpec } from '../command.ts';
import { completionScript, type Shell, shells } from '../completion/script.ts';
import { wordsOf } from '../completion/words.ts';

/** @param program makes the whole program, of which only this command is loaded otherwise. */
export const completionOf = (program: () => Promise<Command>): CommandSpec<Record<string, never>> => ({
  name: 'completion',
  summary: 'prints a script that completes commands and options in a shell',
  argument: ['<shell>', 'the shell', shells],
  examples: [
    ['completion bash', 'in ~/.bashrc: source <(npx lockstep completion bash)'],
    ['completion zsh', 'in ~/.zshrc: source <(npx lockstep completion zsh)'],
  ],
  configure(command) {
    command.addHelpText(
      'after',
      "\nIt completes `lockstep`; where that is typed as `npx lockstep`, alias lockstep='npx lockstep' makes it one word. The script\nis made of this version's commands and starts nothing when you press Tab.",
    );
  },
  async run({ output }, _options, argument) {
    const shell = argument as Shell;
    const script = completionScript(shell, wordsOf(await program()));
    output.print({ event: 'completion', shell, script }, script.trimEnd());
    return 0;
  },
});
