import { expect, test } from 'vitest';
import { silent } from '../../engine/telemetry.ts';
import { createCutoverHandler } from '../../functions/cutover/handler.ts';
import { createRollbackSyncHandler } from '../../functions/rollback-sync/handler.ts';
import { startLibrary } from './world.ts';

const invocation = { getRemainingTimeInMillis: () => 60_000 };

test('both functions: dry run, done, done before, a part of it, and back', async () => {
  await using library = await startLibrary();
  const { app, database, migration } = library;
  const { pool } = database;
  await library.arm();
  await library.validate();
  const options = { pool, migration, telemetry: silent };
  let deadLetters = 1;
  const cutover = createCutoverHandler({ ...options, countDeadLetters: async () => deadLetters });
  const sync = createRollbackSyncHandler(options);

  await expect(cutover({ maxPause: 3 }, invocation)).rejects.toMatchObject({ code: 'LS_CONFIG' });
  await expect(sync({}, invocation)).rejects.toMatchObject({ code: 'LS_PHASE_REFUSED' });
  expect(await cutover({ dryRun: true }, invocation)).toMatchObject({
    outcome: 'refused',
    refusals: [{ name: 'dead-letters' }],
    continue: false,
  });
  deadLetters = 0;
  expect(await cutover({ dryRun: true }, invocation)).toEqual({
    change: 'cutover',
    outcome: 'possible',
    continue: false,
  });
  expect(await cutover(null, invocation)).toMatchObject({ outcome: 'switched', phase: 'reverse', continue: false });
  expect(await cutover(undefined, invocation)).toMatchObject({ outcome: 'already', phase: 'reverse' });

  // What only the normalized side can hold, and what someone has broken on the side that is kept warm.
  await app.query('UPDATE library.borrowings SET stars = 5 WHERE id = 3');
  await library.settle();
  await app.query(
    "SET lockstep.applier = 'on'; UPDATE library.loans SET note = 'broken' WHERE id IN (4, 5); RESET lockstep.applier",
  );
  expect(await sync({ dryRun: true }, invocation)).toEqual({
    outcome: 'planned',
    departures: [
      { target: 'loans', kind: 'different', column: 'note', rows: 2, examples: expect.arrayContaining([['4'], ['5']]) },
    ],
    losses: [
      {
        target: 'borrowings',
        column: 'stars',
        reason: 'the legacy table has no place for stars',
        rows: 1,
        examples: [['3']],
      },
    ],
    continue: false,
  });
  expect(await sync({ all: true }, { getRemainingTimeInMillis: () => 5_000 })).toMatchObject({
    outcome: 'continue',
    continue: true,
  });
  const ended = await sync({}, invocation);
  expect(ended).toMatchObject({ outcome: 'synced', continue: false, run: expect.any(String) });
  await library.equal();
  await library.validate();
  expect(await cutover({ change: 'rollback' }, invocation)).toMatchObject({ outcome: 'switched', phase: 'forward' });
  expect(await cutover({ change: 'rollback' }, invocation)).toMatchObject({ outcome: 'already', phase: 'forward' });
  await library.equal();
});
