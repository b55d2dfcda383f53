/** Commands whose database goes away. */

import { expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startNetwork } from '../support/network.ts';
import { photomemory } from '../support/photomemory.ts';
import { start } from './lockstep.ts';

/** Holds up whoever asks for the phase, until `leave` has ended its connection, which `pid` is the server's process of. */
async function holdUp(database: TestDatabase): Promise<(leave: (pid: number) => unknown) => Promise<void>> {
  const blocker = await database.client();
  await blocker.query('BEGIN; LOCK lockstep.phase');
  const waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  return async (leave) => {
    await leave(await eventually(async () => (await database.pool.query(waiting)).rows[0]?.pid));
    await blocker.query('ROLLBACK');
  };
}

test('a command whose connection breaks says that the database went away, and that it can be run again', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using network = await startNetwork(database.url);
  const terminate = (pid: number) => database.pool.query('SELECT pg_terminate_backend($1)', [pid]);
  for (const leave of [network.cut, terminate]) {
    const held = await holdUp(database);
    await using status = start(['status'], { LOCKSTEP_DATABASE_URL: network.url });
    await held(leave);
    expect(await status.ended()).toBe(2);
    expect(JSON.parse(status.stderr())).toMatchObject({
      event: 'error',
      code: 'LS_DATABASE_LOST',
      message: expect.stringMatching(/^The database went away in the middle of the command: .*terminat/),
      remedy: expect.stringContaining('run the same command again'),
    });
  }
});

test('status --watch tells of it and goes on', async () => {
  await using database = await testDatabase({ template: photomemory });
  await using network = await startNetwork(database.url);
  const watch = ['status', '--watch', '--interval', '0.1'];
  await using watching = start(watch, { LOCKSTEP_DATABASE_URL: network.url });
  await watching.event('status');
  await (await holdUp(database))(network.cut);
  await eventually(() => watching.stderr().includes('LS_DATABASE_LOST'));
  const before = watching.events.length;
  await eventually(() => watching.events.length > before + 1);
  watching.process.kill('SIGINT');
  expect(await watching.ended()).toBe(0);
});
