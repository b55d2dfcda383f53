import { expect, test } from 'vitest';
import type { ListenerLimits } from '../../engine/capture/limits.ts';
import { nextRoundEveryMs } from '../../engine/capture/pace.ts';
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
async function listening(more: Partial<ListenerLimits> = {}) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase({ template: engineSchema }));
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const clock = heldClock();
  const limits = { roundEveryMs, ...more };
  const listener = stack.use(await startListener(database, migration, inbox, { clock, limits }));
  const insert = (...ids: number[]) =>
    database.pool.query("INSERT INTO photos SELECT id, 'a' FROM unnest($1::integer[]) id", [ids]);
  const arrived = (count: number) => eventually(() => inbox.keys().size === count);
  const rest = stack.move();
  return { database, inbox, clock, listener, insert, arrived, [Symbol.asyncDispose]: () => rest.disposeAsync() };
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
  await using run = await listening({ keysPerRound: 3 });
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

test('rounds grow while the appliers are behind, and are short again when they have caught up', async () => {
  await using run = await listening({ roundEveryMs: 2_000, longestRoundMs: 5_000 });
  const { clock } = run;
  let id = 0;
  /** A round of its own, after a silence in which nobody strikes anything out. */
  const round = async () => {
    clock.pass(10_000);
    await run.insert(++id);
    await run.arrived(id);
  };
  /** Something that follows a round directly. @returns how long it is kept back. */
  const waitOfNext = async () => {
    const before = clock.waits.length;
    await run.insert(++id);
    await eventually(() => clock.waits.length > before);
    const wait = clock.waits[before];
    clock.pass(10_000);
    wait?.end();
    await run.arrived(id);
    return wait?.durationMs;
  };
  for (let count = 0; count < 3; count += 1) await round();
  expect(await waitOfNext()).toBe(2_000);
  // Three were on their way when that one went.
  expect(await waitOfNext()).toBe(4_000);
  expect(await waitOfNext()).toBe(5_000);
  expect(await waitOfNext()).toBe(5_000);
  const strikeOut = () => run.database.pool.query('DELETE FROM lockstep.in_flight');
  await strikeOut();
  await round();
  expect(await waitOfNext()).toBe(2_500);
  await strikeOut();
  await round();
  expect(await waitOfNext()).toBe(2_000);
  // The oldest that is stuck says nothing while newer ones are finished.
  await strikeOut();
  for (let count = 0; count < 4; count += 1) await round();
  await run.database.pool.query('DELETE FROM lockstep.in_flight WHERE seq > (SELECT min(seq) FROM lockstep.in_flight)');
  await round();
  expect(await waitOfNext()).toBe(2_000);
});

test('a small round is one message, whatever its rows, and the next goes elsewhere', async () => {
  await using run = await listening();
  const { inbox } = run;
  const groups = () => inbox.outgoing.filter(({ body }) => body.includes('"changes"')).map(({ group }) => group);
  for (const round of [1, 2]) {
    run.clock.pass(roundEveryMs);
    const many = "INSERT INTO photos SELECT n, 'project ' || n FROM generate_series($1::integer, $1::integer + 19) n";
    await run.database.pool.query(many, [round * 100]);
    await run.arrived(round * 20);
  }
  expect(groups()).toEqual(['forward-0', 'forward-1']);
});

test('the length of rounds is doubled and halved within its bounds', () => {
  const limits = { roundEveryMs: 50, longestRoundMs: 500 };
  const lengths = [0, 1, 2, 3, 16].map((onTheirWay) => nextRoundEveryMs(200, onTheirWay, limits));
  expect(lengths).toEqual([100, 200, 200, 400, 400]);
  expect(nextRoundEveryMs(50, 0, limits)).toBe(50);
  expect(nextRoundEveryMs(400, 3, limits)).toBe(500);
  // Whoever wants longer rounds anyway keeps them.
  const long = { ...limits, roundEveryMs: 1_000 };
  expect([0, 1, 3].map((onTheirWay) => nextRoundEveryMs(1_000, onTheirWay, long))).toEqual([1_000, 1_000, 1_000]);
});
