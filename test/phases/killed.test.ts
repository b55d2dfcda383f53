import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Failpoint } from '../../engine/failpoint.ts';
import { type Running, start } from '../cli/lockstep.ts';
import { startApplying, startListening } from '../e2e/world.ts';
import { catalogs, type Library, libraryFolder, stillLibrary } from './world.ts';

async function killedAt(library: Library, place: Failpoint): Promise<void> {
  const program = fileURLToPath(new URL('doomed.ts', import.meta.url));
  const env = { ...process.env, ...library.settings };
  const child = spawn(process.execPath, [program, place, 'SIGKILL', '20000'], {
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
}

test('kill -9 of a cutover at any step: the phase is wholly forward or wholly reverse, and everything goes on', async () => {
  await using library = await stillLibrary();
  const { app } = library;
  await using _applying = await startApplying(library);
  await using _listening = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  for (const place of ['switch.locked', 'switch.drained', 'switch.turned', 'switch.before-commit'] as const) {
    await killedAt(library, place);
    expect([place, await library.phase()]).toEqual([place, 'forward']);
    await app.query('UPDATE library.loans SET note = $1 WHERE id = 1', [place]);
    await library.equal();
  }
  await killedAt(library, 'switch.committed');
  expect(await library.phase()).toBe('reverse');
  expect(await library.change('cutover')).toMatchObject({ outcome: 'already', phase: 'reverse' });
  await expect(app.query('DELETE FROM library.loans')).rejects.toMatchObject({ code: 'LS001' });
  await app.query("UPDATE library.borrowings SET remark = 'goes on' WHERE id = 1");
  await library.equal();
});

test('kill -9 of the listener in the middle: the cutover gives up without a trace, and the next one, which reads the change, loses nothing', {
  timeout: 120_000,
}, async () => {
  await using library = await stillLibrary();
  const { app, database } = library;
  await using _applying = await startApplying(library);
  const listen = () => start(['listen', '--migration', libraryFolder], library.settings);
  const kill = async ({ process: { pid }, ended }: Running) => {
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await ended()).toBe(null);
  };
  await using first = listen();
  await first.event('capturing');
  await library.settle();
  await library.arm();
  await library.validate();
  const before = await catalogs(database.pool);
  const result = await library.change('cutover', {
    maxPauseMs: 5_000,
    failpoints: async (place) => {
      if (place === 'switch.locked') await kill(first);
    },
  });
  expect(result).toMatchObject({ outcome: 'aborted', refusals: [{ name: 'pause-exceeded' }] });
  expect(await library.phase()).toBe('forward');
  expect(await catalogs(database.pool)).toEqual(before);
  await app.query("UPDATE library.loans SET note = 'open again' WHERE id = 1");
  expect(await library.change('cutover')).toMatchObject({
    outcome: 'refused',
    refusals: [{ name: 'listener-down' }, { name: 'listener-down' }],
  });

  // This one is gone before it has read that the direction has turned.
  await using second = listen();
  await library.captured();
  await library.equal();
  const turned = await library.change('cutover', {
    maxPauseMs: 20_000,
    failpoints: async (place) => {
      if (place === 'switch.before-commit') await kill(second);
    },
  });
  expect(turned).toMatchObject({ outcome: 'switched' });
  await app.query("UPDATE library.borrowings SET remark = 'after' WHERE id = 1");
  await using third = listen();
  await third.event('capturing');
  await library.captured();
  await library.equal();
  expect((await app.query('SELECT note FROM library.loans WHERE id = 1')).rows).toEqual([{ note: 'after' }]);
  // The forward slot is moved on as well, so that no WAL piles up behind it.
  expect((await app.query("SELECT FROM lockstep.in_flight WHERE direction = 'forward'")).rowCount).toBe(0);
});
