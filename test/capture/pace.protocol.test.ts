import { expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createPhotos, engineSchema, Inbox, startListener } from './support.ts';

const roundEveryMs = 50_000;

/** Stands still: whoever waits for the next round waits until the test ends that, or something else does. */
function heldClock() {
  const waits: { readonly durationMs: number; readonly end: () => void }[] = [];
  let nowMs = 1_000_000_000;
  return {
    waits,
    pass(ms: number) {
      nowMs += ms;
    },
    nowMs: () => nowMs,
    async pauseMs(durationMs: number) {
      if (durationMs >= 1_000) await new Promise<void>((end) => waits.push({ durationMs, end }));
    },
  };
}

/** All rows are of one shard, so that a round with changes is one message. */
async function listening(keysPerRound = 10_000) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase({ template: engineSchema }));
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const clock = heldClock();
  const limits = { roundEveryMs, keysPerRound };
  const listener = stack.use(await startListener(database, migration, inbox, { clock, limits }));
  const insert = (...ids: number[]) =>
    database.pool.query("INSERT INTO photos SELECT id, 'a' FROM unnest($1::integer[]) id", [ids]);
  const arrived = (count: number) => eventually(() => inbox.keys().size === count);
  const rest = stack.move();
  return { inbox, clock, listener, insert, arrived, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

test('what comes after a silence goes at once, what follows it in rounds', async () => {
  await using run = await listening();
  const { clock, inbox } = run;
  await run.insert(1);
  await run.arrived(1);
  expect(clock.waits).toEqual([]);

  clock.pass(10_000);
  for (const id of [2, 3, 4]) await run.insert(id);
  await eventually(() => clock.waits.length > 0);
  expect(clock.waits[0]?.durationMs).toBe(roundEveryMs - 10_000);
  expect(inbox.changes).toHaveLength(1);
  await eventually(() => {
    for (const { end } of clock.waits) end();
    return inbox.keys().size === 4;
  });
  // Each further round has been waited for.
  expect(inbox.changes.length).toBeLessThanOrEqual(1 + clock.waits.length);

  const before = clock.waits.length;
  clock.pass(roundEveryMs);
  await run.insert(5);
  await run.arrived(5);
  expect(clock.waits).toHaveLength(before);

  // A clock that is set back costs one interval, not an hour.
  clock.pass(-3_600_000);
  await run.insert(6);
  await eventually(() => clock.waits.length > before);
  expect(clock.waits.at(-1)?.durationMs).toBe(roundEveryMs);
  clock.waits.at(-1)?.end();
  await run.arrived(6);
});

test('a round that is full does not wait', async () => {
  await using run = await listening(3);
  await run.insert(1);
  await run.arrived(1);
  await run.insert(2);
  await eventually(() => run.clock.waits.length > 0);
  await run.insert(3, 4);
  await run.arrived(4);
});

test('nor does the last one', async () => {
  await using run = await listening();
  await run.insert(1);
  await run.arrived(1);
  await run.insert(2);
  await eventually(() => run.clock.waits.length > 0);
  await run.listener.stop();
  expect(run.inbox.keys().size).toBe(2);
});
