import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startApplying, startListening } from '../e2e/world.ts';
import { eventually } from '../support/eventually.ts';
import { catalogs, startLibrary, stillLibrary } from './world.ts';

/** Of locks: all tests' databases are on one server. */
const here = 'database = (SELECT oid FROM pg_database WHERE datname = current_database())';

test('a writer that holds on is waited for in short attempts: it is named, others write in between, and it is never a victim', {
  timeout: 240_000,
}, async () => {
  await using library = await startLibrary();
  await library.arm();
  const { database, app } = library;
  await library.validate();
  const before = await catalogs(database.pool);
  const writer = await database.client();
  await writer.query("BEGIN; UPDATE library.loans SET note = 'held' WHERE id = 1");
  let written = 0;
  let over = false;
  const others = (async () => {
    while (!over) {
      await app.query("UPDATE library.loans SET note = 'between' WHERE id = 2");
      written += 1;
      await delay(20);
    }
  })();
  const patient = { maxPauseMs: 20_000, limits: { lagMs: 30_000, transactionAgeMs: 120_000 } };
  const given = await library.change('cutover', patient);
  over = true;
  await others;
  expect(given).toMatchObject({
    outcome: 'aborted',
    refusals: [{ name: 'locked', reason: expect.stringMatching(/process \d+ \(test, open for \d+ s\)/) }],
  });
  expect(given.outcome === 'aborted' && given.attempts).toBe(12);
  expect(written).toBeGreaterThan(12);
  expect(await catalogs(database.pool)).toEqual(before);

  let prepared = false;
  const turning = library.change('cutover', {
    ...patient,
    failpoints: () => {
      prepared = true;
    },
  });
  await eventually(() => prepared);
  await eventually(
    async () => (await database.pool.query(`SELECT FROM pg_locks WHERE NOT granted AND ${here}`)).rowCount,
  );
  // What the writer asks for next is what the cutover holds already: the cutover gives way.
  await writer.query("UPDATE library.people SET plan = 'plus' WHERE id = 1; COMMIT");
  const turned = await turning;
  expect(turned).toMatchObject({ outcome: 'switched' });
  // What the attempts before the last one have cost is not kept back.
  expect(turned.outcome === 'switched' && turned.pauseMs).toBeGreaterThan(650);
  await library.equal();
  const { rows } = await database.pool.query(
    'SELECT remark, plan FROM library.borrowings b JOIN library.memberships m ON b.id = 1 AND m.person_id = 1',
  );
  expect(rows).toEqual([{ remark: 'held', plan: 'plus' }]);
});

test('a cutover that is frozen while it holds the locks is ended by the server, and writers go on', async () => {
  await using library = await startLibrary();
  await library.arm();
  const { database, app } = library;
  await library.validate();
  const before = await catalogs(database.pool);
  const program = fileURLToPath(new URL('doomed.ts', import.meta.url));
  const env = { ...process.env, ...library.settings };
  const args = [program, 'switch.locked', 'SIGSTOP', '3000'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'pipe'] });
  child.stderr.resume();
  try {
    const held = `SELECT FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted AND relation = 'library.loans'::regclass AND ${here}`;
    await eventually(async () => (await database.pool.query(held)).rowCount);
    await app.query(
      "SET lock_timeout = '20s'; UPDATE library.loans SET note = 'goes on' WHERE id = 1; RESET lock_timeout",
    );
    expect(child.exitCode).toBe(null);
    expect(await library.phase()).toBe('forward');
    await library.equal();
  } finally {
    child.kill('SIGCONT');
    const [code] = await once(child, 'exit');
    // Woken, it finds that nothing has happened.
    expect(code).toBe(0);
  }
  expect(await catalogs(database.pool)).toEqual(before);
});

test('nobody writes to the side that is compared, between the comparison and the commit', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  const { database } = library;
  const writer = await database.client();
  let committed: Promise<unknown> | undefined;
  const result = await library.change('cutover', {
    maxPauseMs: 20_000,
    failpoints: async (place) => {
      if (place !== 'switch.turned' || committed) return;
      await writer.query("BEGIN; UPDATE library.borrowings SET remark = 'not seen yet' WHERE id = 7");
      committed = delay(300).then(() => writer.query('COMMIT'));
    },
  });
  await committed;
  expect(result).toMatchObject({ outcome: 'aborted', refusals: [{ name: 'drift' }], attempts: expect.any(Number) });
  expect(await library.phase()).toBe('forward');
});

test('a merge that has to write into a locked table is let through: the locks are let go, and asked for again', async () => {
  await using library = await stillLibrary();
  const { app } = library;
  let hold: Promise<void> | undefined;
  let letGo = () => {};
  let held = 0;
  await using _applying = await startApplying(library, async (point) => {
    if (point !== 'apply.scopes-resolved' || !hold) return;
    held += 1;
    await hold;
  });
  await using _listening = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  expect(await library.change('cutover', { maxPauseMs: 20_000 })).toMatchObject({ outcome: 'switched' });
  await library.equal();
  await library.validate();
  // The plan is a column of the table that both sides share.
  const result = await library.change('rollback', {
    maxPauseMs: 20_000,
    failpoints: async (place) => {
      if (place === 'switch.prepared') {
        const { promise, resolve } = Promise.withResolvers<void>();
        hold = promise;
        await app.query("UPDATE library.memberships SET plan = 'plus' WHERE person_id = 1");
        await eventually(() => held > 0);
        letGo = resolve;
      }
      if (place === 'switch.locked') letGo();
    },
  });
  expect(result).toMatchObject({ outcome: 'switched', phase: 'forward' });
  expect(result.outcome === 'switched' && result.attempts).toBeGreaterThan(1);
  await library.equal();
  expect((await app.query('SELECT plan FROM library.people WHERE id = 1')).rows).toEqual([{ plan: 'plus' }]);
});

test('what is not committed in time is rolled back, however far it has come', async () => {
  await using library = await startLibrary();
  await library.arm();
  await library.validate();
  const before = await catalogs(library.database.pool);
  const result = await library.change('cutover', {
    maxPauseMs: 1_000,
    failpoints: async (place) => {
      if (place === 'switch.before-commit') await delay(1_010);
    },
  });
  expect(result).toMatchObject({ outcome: 'aborted', refusals: [{ name: 'pause-exceeded' }] });
  expect(await catalogs(library.database.pool)).toEqual(before);
  await library.app.query("UPDATE library.loans SET note = 'open' WHERE id = 1");
  await library.equal();
});
