import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockstep, run } from './lockstep.ts';

let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'));
  for (const shell of ['bash', 'zsh']) {
    const { code, stdout } = await lockstep(['completion', shell]);
    expect(code).toBe(0);
    writeFileSync(join(folder, shell), stdout);
  }
  mkdirSync(join(folder, 'migrations'));
  writeFileSync(join(folder, 'migrations.txt'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What bash offers behind these words, the last of which is being typed; nothing else is started for it. */
async function offeredByBash(...words: readonly string[]): Promise<string[]> {
  const script = `source ./bash
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); PATH=''
    complete -p lockstep > registered; _lockstep
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await run('/bin/bash', ['--norc', '-euc', script, 'bash', ...words], {}, folder);
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

test.each([
  ['a command', ['lockstep', 'cut'], ['cutover']],
  ['commands that begin alike', ['lockstep', 're'], ['retry', 'restore']],
  ['a command of a group', ['lockstep', 'rollback', ''], ['plan', 'sync', 'switch']],
  ['an option', ['lockstep', 'cutover', '--max'], ['--max-pause']],
  ['an option of a command of a group', ['lockstep', 'rollback', 'sync', '--a'], ['--all']],
  ['another behind one with a value', ['lockstep', 'validate', '--sample', '5', '--rep'], ['--repair']],
  ['nothing where a number stands', ['lockstep', 'wait', '--timeout', ''], []],
  [
    'a word that is a value, and no command',
    ['lockstep', '--migration', 'rollback', 'rollback', 's'],
    ['sync', 'switch'],
  ],
  ['a shell', ['lockstep', 'completion', ''], ['bash', 'zsh']],
  ['a directory', ['lockstep', 'check', 'migr'], ['migrations']],
  ['a directory of an option', ['lockstep', 'dev', '--data', 'migr'], ['migrations']],
  ['a file', ['lockstep', 'validate', '--html', 'migrations.'], ['migrations.txt']],
])('bash completes %s', async (_what, words, expected) => {
  expect(await offeredByBash(...words)).toEqual(expected);
});

test('bash offers every command that the help lists', async () => {
  const { stdout } = await lockstep(['--help']);
  const listed = [...(/Commands:\n([\s\S]*?)\n\n/.exec(stdout)?.[1] ?? '').matchAll(/^ {2}([a-z]+)/gm)].map(
    ([, name]) => name,
  );
  expect(listed.length).toBeGreaterThan(17);
  expect(await offeredByBash('lockstep', '')).toEqual(listed);
});

/** Types into a real zsh, presses Tab, and returns what it shows; zpty gives it a terminal. */
async function shownByZsh(typed: string): Promise<string> {
  const script = `
    zmodload zsh/zpty
    zpty -b shell zsh -f -i
    zpty -w shell $'PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; zstyle ":completion:*" verbose yes; source ./zsh; print rea""dy'
    output=''
    until [[ $output == *ready* ]]; do zpty -r shell piece && output+=$piece || sleep 0.05; done
    zpty -w -n shell $1$'\\t\\t'
    sleep 1
    output=''
    while zpty -r -t shell piece; do output+=$piece; done
    print -r -- $output
    zpty -d shell`;
  const { stdout } = await run('zsh', ['-f', '-c', script, 'zsh', typed], { TERM: 'dumb' }, folder);
  return stdout;
}

test('zsh completes commands and options, and says what they are', async () => {
  expect(await shownByZsh('lockstep cutov')).toMatch(/lockstep cutover /);
  expect(await shownByZsh('lockstep rollback ')).toMatch(/switch.*makes the legacy tables the truth again/s);
  expect(await shownByZsh('lockstep cutover --max-')).toMatch(/--max-pause/);
  expect(await shownByZsh('lockstep check mig')).toMatch(/migrations\//);
});

test('a shell that is none is explained', async () => {
  const { code, stderr } = await lockstep(['completion', 'cmd']);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/Allowed choices are bash, zsh/)]);
});
