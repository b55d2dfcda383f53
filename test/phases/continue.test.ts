import { expect, test } from 'vitest';
import { silent } from '../../engine/telemetry.ts';
import { createCutoverHandler } from '../../functions/cutover/handler.ts';
import { createRollbackSyncHandler } from '../../functions/rollback-sync/handler.ts';
import { startApplying, startListening } from '../e2e/world.ts';
import { startLibrary, stillLibrary } from './world.ts';

const people = 5_000;
const doneSql = `
  SELECT sum(scopes_done) AS done FROM lockstep.backfill_target t JOIN lockstep.backfill b ON b.id = t.backfill_id
  WHERE reason = 'rollback sync'`;
/** So short that the deadline has passed when the first portion is done. */
const short = { getRemainingTimeInMillis: () => 5_001 };
const long = { getRemainingTimeInMillis: () => 60_000 };

test('a cutover, and the way back, that have more to compare than one invocation can: each goes on where the last one ended', {
  timeout: 400_000,
}, async () => {
  await using library = await startLibrary(people);
  const { app, database, migration } = library;
  const turn = createCutoverHandler({
    pool: database.pool,
    migration,
    telemetry: silent,
    countDeadLetters: async () => 0,
  });
  await library.arm();
  for (const [change, from, write] of [
    ['cutover', 'forward', "UPDATE library.loans SET note = 'all of them'"],
    ['rollback', 'reverse', "UPDATE library.borrowings SET remark = 'all again'"],
  ] as const) {
    await library.validate();
    await app.query(write);
    await library.settle();
    const left: number[] = [];
    for (;;) {
      const answer = await turn({ change, maxPauseMs: 20_000 }, short);
      if (answer.outcome !== 'continue') {
        expect(answer, JSON.stringify(answer)).toMatchObject({ change, outcome: 'switched', continue: false });
        break;
      }
      expect(answer.continue).toBe(true);
      left.push(answer.scopesLeft);
      // Nothing is locked between two invocations, and nothing has changed.
      expect(await library.phase()).toBe(from);
      await app.query("UPDATE library.people SET name = 'meanwhile' WHERE id = 1");
    }
    // At most 2,000 at once, until few enough are left.
    expect(left.length).toBeGreaterThanOrEqual(2);
    for (const [index, scopes] of left.entries()) {
      const compared = (left[index - 1] ?? people) - scopes;
      expect([compared > 0, compared <= 2_000], String(left)).toEqual([true, true]);
    }
    await library.equal();
  }
});

test('a re-derivation that does not fit into one invocation goes on in the next, and is over when all of it has arrived', {
  timeout: 400_000,
}, async () => {
  await using library = await stillLibrary(people);
  const { app, database, migration } = library;
  const { pool } = database;
  const sync = createRollbackSyncHandler({ pool, migration, telemetry: silent });
  await using _applying = await startApplying(library);
  await using first = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  expect(await library.change('cutover', { maxPauseMs: 20_000 })).toMatchObject({ outcome: 'switched' });
  await app.query("BEGIN; SET LOCAL lockstep.applier = 'on'; UPDATE library.loans SET note = 'broken'; COMMIT");

  const all = { all: true };
  const done = async () => Number((await pool.query(doneSql)).rows[0]?.done);
  const begun = await sync(all, short);
  expect(begun).toMatchObject({ outcome: 'continue', continue: true, run: expect.any(String), lsn: null });
  const { run } = begun as { run: string };
  let before = await done();
  expect(before).toBeLessThan(2 * people);
  await first[Symbol.asyncDispose]();
  for (let calls = 1; ; calls += 1) {
    const answer = await sync(all, { getRemainingTimeInMillis: () => 5_300 });
    expect(answer).toMatchObject({ outcome: 'continue', continue: true, run });
    const now = await done();
    expect(now).toBeGreaterThanOrEqual(before);
    before = now;
    if ((answer as { lsn: string | null }).lsn !== null) break;
    expect(calls).toBeLessThan(100);
  }
  // All is derived, but nobody reads what has been committed since: it is not synced, and not derived once more either.
  expect(await sync(all, { getRemainingTimeInMillis: () => 5_300 })).toMatchObject({ outcome: 'continue', run });
  await using _second = await startListening(library);
  await library.captured();
  expect(await sync(all, long)).toMatchObject({ outcome: 'synced', continue: false, run });
  // Nothing of it was derived again.
  expect(await done()).toBe(before);
  await library.equal();
  // Asked for anew, it is done anew.
  const anew = await sync(all, long);
  expect(anew).toMatchObject({ outcome: 'synced', continue: false, run: expect.any(String) });
  expect((anew as { run: string }).run).not.toBe(run);
});
