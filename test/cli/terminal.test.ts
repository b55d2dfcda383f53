import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { bin, type Finished, lockstep, run, start } from './lockstep.ts';

const clear = '\x1b[H\x1b[2J';
const yellow = '\x1b[33m';
const escapes = new RegExp(`${'\x1b'}\\[[0-9;]*[A-Za-z]`);

/** Runs a command line on a terminal of its own, which `script` makes; stdout is what the terminal got. */
async function onTerminal(args: readonly string[], env: Record<string, string>): Promise<Finished> {
  const line = [process.execPath, bin, ...args].map((word) => `'${word}'`).join(' ');
  return await run('script', ['-qefc', line, '/dev/null'], { TERM: 'xterm-256color', ...env });
}

test('colours and drawing are for terminals; NO_COLOR takes the colours away, a pipe both', {
  timeout: 300_000,
}, async () => {
  await using database = await testDatabase();
  const env = { LOCKSTEP_DATABASE_URL: database.url };
  expect((await lockstep(['migrate', '--legacy'], env)).code).toBe(0);

  const piped = await lockstep(['status'], env);
  expect(piped.stdout).toMatch(/^phase .*\nattention {3}The listener has never run/s);
  expect(piped.stdout).not.toMatch(escapes);

  const shown = await onTerminal(['status'], env);
  expect([shown.code, shown.stdout]).toEqual([
    0,
    expect.stringContaining(`${yellow}attention   The listener has never run`),
  ]);
  const colourless = await onTerminal(['status'], { ...env, NO_COLOR: '1' });
  expect(colourless.stdout.replaceAll('\r\n', '\n')).toBe(piped.stdout);

  // The plan says what it is reading, takes that away again, and leaves what a pipe gets.
  const planned = await onTerminal(['plan', '--sample', '1'], { ...env, NO_COLOR: '1' });
  expect(planned.stdout).toContain('reading source users …\r\n\x1b[1A\x1b[J');
  const quiet = await lockstep(['plan', '--sample', '1'], env);
  expect([quiet.stdout.includes('reading'), escapes.test(quiet.stdout)]).toEqual([false, false]);

  // Nothing is said on stdout by a command that fails, and what it says is not coloured where nobody sees it.
  const failed = await lockstep(['wait'], env);
  expect([failed.stdout, failed.stderr]).toEqual(['', expect.not.stringMatching(escapes)]);
  expect((await onTerminal(['wait'], env)).stdout).toContain('\x1b[31m');
});

test('status --watch draws a terminal anew each time, writes one after the other elsewhere, and ends when it is asked to', {
  timeout: 300_000,
}, async () => {
  await using database = await testDatabase();
  const env = { LOCKSTEP_DATABASE_URL: database.url };
  expect((await lockstep(['migrate', '--legacy'], env)).code).toBe(0);
  const watch = ['status', '--watch', '--interval', '0.1'];

  await using plainly = start(watch, env, [], { json: false });
  await eventually(() => plainly.stdout().split('phase ').length > 3);
  expect(plainly.stdout()).not.toMatch(escapes);
  plainly.process.kill('SIGINT');
  expect(await plainly.ended()).toBe(0);

  await using machines = start(watch, env);
  await eventually(() => machines.events.length > 3);
  expect(new Set(machines.events.map(({ event }) => event))).toEqual(new Set(['status']));
  machines.process.kill('SIGTERM');
  expect(await machines.ended()).toBe(0);

  // `timeout` asks it to stop after a while, as Ctrl-C would.
  const line = `timeout --foreground -s INT 20 '${process.execPath}' '${bin}' ${watch.join(' ')}`;
  const drawn = await run('script', ['-qefc', line, '/dev/null'], { TERM: 'xterm', ...env });
  expect(drawn.stdout.split(clear).length).toBeGreaterThan(3);
});
