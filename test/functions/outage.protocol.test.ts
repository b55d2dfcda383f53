/** The listeners of both directions, and connections of theirs that break without a word of the server's. */

import { expect, test } from 'vitest';
import { environment } from '../../infra/contract.ts';
import { type Part, startApplying, startListening } from '../e2e/world.ts';
import { type Library, stillLibrary } from '../phases/world.ts';
import { eventually } from '../support/eventually.ts';
import { type Network, startNetwork } from '../support/network.ts';

interface Outage extends Library {
  readonly network: Network;
  readonly listening: Part;
  /** How often each slot has been taken. */
  readonly taken: ReadonlyMap<string, number>;
}

/** The library, in step, whose listeners reach the server through a network that can be cut. */
async function startOutage(armed = true): Promise<Outage> {
  await using started = new AsyncDisposableStack();
  const library = started.use(await stillLibrary(20));
  const network = started.use(await startNetwork(library.database.url));
  started.use(await startApplying(library));
  const taken = new Map<string, number>();
  const listening = started.use(
    await startListening({
      ...library,
      settings: { ...library.settings, [environment.databaseUrl]: network.url },
      telemetry: {
        log(_, event, { slotName } = {}) {
          if (event === 'listener.capturing') taken.set(String(slotName), (taken.get(String(slotName)) ?? 0) + 1);
        },
        measure() {},
      },
    }),
  );
  await library.settle();
  if (armed) {
    await library.arm();
    await eventually(() => taken.size === 2);
  }
  const parts = started.move();
  return { ...library, network, listening, taken, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** Cuts every connection; returns what waits until both slots have been taken again. Fails at once when listening has ended. */
function cutAll({ network, taken, listening }: Outage): (when: string) => Promise<void> {
  const before = new Map(taken);
  network.cut();
  return async (when) => {
    const ended = listening.ended.then(
      () => Promise.reject(new Error(`Listening has ended: ${when}.`)),
      (cause: unknown) => Promise.reject(new Error(`Listening has ended: ${when}.`, { cause })),
    );
    const again = () => [...taken].every(([slot, times]) => times > (before.get(slot) ?? 0));
    await Promise.race([eventually(again), ended]);
  };
}

/** What is written now arrives. */
async function goesOn({ database, equal }: Outage): Promise<void> {
  await database.pool.query("UPDATE library.loans SET note = 'after all' WHERE id = 1");
  await equal();
  const { rows } = await database.pool.query('SELECT remark FROM library.borrowings WHERE id = 1');
  expect(rows).toEqual([{ remark: 'after all' }]);
}

test('all break while it is looked whether the way back is armed: capturing goes on', async () => {
  await using library = await startOutage();
  const blocker = await library.database.client();
  await blocker.query('BEGIN; LOCK lockstep.phase');
  const waiting =
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%lockstep.armed%'";
  await eventually(async () => (await library.database.pool.query(waiting)).rowCount === 1);
  const again = cutAll(library);
  await blocker.query('ROLLBACK');
  await again('as it looked');
  await goesOn(library);
});

test('all break while the way back is captured for the first time: capturing goes on', async () => {
  await using library = await startOutage(false);
  const { pool } = library.database;
  // A slot is not made before every transaction that is open has ended.
  const open = await library.database.client();
  await open.query('BEGIN; SELECT pg_current_xact_id()');
  const arming = library.arm();
  const creating =
    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE_REPLICATION_SLOT%'";
  await eventually(async () => (await pool.query(creating)).rowCount === 1);
  const again = cutAll(library);
  await open.query('ROLLBACK');
  await Promise.all([again('as the slot was made'), arming]);
  await goesOn(library);
});

test('while they connect again, one breaks at this or that answer of the server: capturing goes on', {
  timeout: 600_000,
}, async () => {
  await using library = await startOutage();
  // It takes about 70 answers until both capture; every third will do, since the two connect side by side and not in step.
  for (let answer = 8; answer <= 68; answer += 3) {
    const cut = library.network.cutAtAnswer(answer);
    const again = cutAll(library);
    await Promise.all([again(`at answer ${answer}`), cut]);
  }
  await goesOn(library);
});
