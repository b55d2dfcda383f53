import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { startApplying, startListening } from '../e2e/world.ts';
import { catalogs, type Library, startLibrary, stillLibrary } from './world.ts';

/** Longer and heavier: LOCKSTEP_TEST_TRAFFIC_SECONDS. */
const secondsEachWay = Number(process.env.LOCKSTEP_TEST_TRAFFIC_SECONDS ?? 1);
const clients = 8;
const transactionsPerSecond = 200;
/** What an operator would allow; a change that cannot make it is given up, and asked for again. */
const maxPauseMs = 900;
const mostTries = 10;
/** Many enough that a scope is quiet for a while: what changes all the time cannot be proved to agree. */
const people = 3_000;

/** What one client has seen committed, by table: the ids that it has inserted. */
interface Log {
  readonly loans: number[];
  readonly borrowings: number[];
  /** Of each transaction, whatever became of it. */
  readonly tookMs: number[];
  readonly errors: string[];
}

/**
 * An application: each client writes where it believes that the truth is, a row of its own and one that all share, and
 * goes to the other side when it is told to, as a new version of it would.
 */
class Application {
  readonly log: Log = { loans: [], borrowings: [], tookMs: [], errors: [] };
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[] = [];
  #side: 'loans' | 'borrowings';
  #next: number;

  constructor(side: 'loans' | 'borrowings', firstId: number) {
    this.#side = side;
    this.#next = firstId;
  }

  async start(library: Library): Promise<void> {
    for (let index = 0; index < clients; index += 1) this.#running.push(this.#write(await library.database.client()));
    this.#running.push(this.#read(await library.database.client()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  /** In parallel, each at its share of the rate, without making up for what it has missed. */
  async #write(client: pg.Client): Promise<void> {
    const everyMs = (1000 * clients) / transactionsPerSecond;
    while (!this.#stop.signal.aborted) {
      const id = this.#next++;
      const side = this.#side;
      const startedMs = performance.now();
      try {
        const person = 1 + ((id * 7) % people);
        await client.query('BEGIN');
        await client.query(`UPDATE library.people SET name = 'seen ${id}' WHERE id = ${person}`);
        await client.query(`INSERT INTO library.${side} (id, person_id, title) VALUES (${id}, ${person}, 'new')`);
        await client.query(`UPDATE library.${side} SET title = 'moved' WHERE id = ${id}`);
        await client.query('COMMIT');
        this.log[side].push(id);
      } catch (error) {
        await client.query('ROLLBACK');
        if ((error as { code?: string }).code === 'LS001') this.#side = side === 'loans' ? 'borrowings' : 'loans';
        else this.log.errors.push(String(error));
      }
      const tookMs = performance.now() - startedMs;
      this.log.tookMs.push(tookMs);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, everyMs - tookMs)));
    }
    await client.end();
  }

  /** A reader that would fail if it had to wait for a lock. */
  async #read(client: pg.Client): Promise<void> {
    await client.query(neverWait);
    while (!this.#stop.signal.aborted) {
      try {
        await client.query(reads);
      } catch (error) {
        this.log.errors.push(`reader: ${String(error)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await client.end();
  }
}

const neverWait = "SET lock_timeout = '1ms'";
/** Everything that an application reads of either side, and what checks of its foreign keys lock. */
const reads = `
  SELECT count(*) FROM library.people; SELECT count(*) FROM library.loans; SELECT count(*) FROM library.memberships;
  SELECT count(*) FROM library.borrowings; SELECT * FROM library.settings;
  SELECT FROM library.people WHERE id = 1 FOR KEY SHARE`;

/**
 * As an operator would: tried again when the pause that is allowed was not enough. While all locks are held, and nothing is
 * committed yet, `reader` reads everything.
 */
async function turn(library: Library, change: 'cutover' | 'rollback', reader: pg.Client) {
  const { pool } = library.database;
  const before = await catalogs(pool);
  let readsInPause = 0;
  for (let tries = 1; ; tries += 1) {
    const result = await library.change(change, {
      maxPauseMs,
      limits: { transactionAgeMs: 10_000, lagMs: 30_000 },
      failpoints: async (place) => {
        if (!['switch.locked', 'switch.before-commit'].includes(place)) return;
        await reader.query(reads);
        readsInPause += 1;
      },
    });
    if (result.outcome === 'switched') return { ...result, tries, readsInPause };
    if (result.outcome !== 'aborted' || tries === mostTries) throw new Error(JSON.stringify(result));
    expect(await catalogs(pool)).toEqual(before);
    expect(result.pauseMs).toBeLessThan(10 * maxPauseMs);
  }
}

const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function missing(library: Library, table: string, ids: readonly number[]): Promise<unknown[]> {
  const { rows } = await library.app.query(
    `SELECT i AS id FROM unnest($1::bigint[]) i
     WHERE NOT EXISTS (SELECT FROM library.${table} t WHERE t.id = i AND t.title = 'moved')`,
    [ids],
  );
  return rows;
}

test('200 transactions a second from 8 clients, cut over and back: none is lost or on the wrong side, no reader waits', {
  timeout: 180_000,
}, async () => {
  await using library = await startLibrary(people);
  await library.arm();
  await using application = new Application('loans', 100_000);
  await application.start(library);
  const reader = await library.database.client();
  await reader.query(neverWait);
  for (const change of ['cutover', 'rollback'] as const) {
    await after(secondsEachWay * 1000);
    await library.validate();
    const { pauseMs, attempts, tries, readsInPause } = await turn(library, change, reader);
    expect(pauseMs).toBeLessThan(maxPauseMs);
    expect(readsInPause).toBeGreaterThan(1);
    // The pause is what this test is about.
    process.stderr.write(
      `${change}: writers waited ${Math.round(pauseMs)} ms (try ${tries}, attempt ${attempts}), ` +
        `the slowest transaction took ${Math.round(Math.max(...application.log.tookMs.splice(0)))} ms\n`,
    );
  }
  await after(secondsEachWay * 500);
  await application.stop();
  await library.equal();
  const { loans, borrowings, errors } = application.log;
  expect(errors).toEqual([]);
  expect(Math.min(loans.length, borrowings.length)).toBeGreaterThan(20);
  for (const table of ['loans', 'borrowings']) {
    expect(await missing(library, table, [...loans, ...borrowings])).toEqual([]);
  }
  const { rows } = await library.app.query(
    'SELECT count(*)::int AS count FROM library.loans FULL JOIN library.borrowings USING (id) WHERE id >= 100000',
  );
  expect(rows).toEqual([{ count: loans.length + borrowings.length }]);
});

test('--max-pause 200ms with appliers that are too slow: it is given up in time, and not a trace stays', async () => {
  await using library = await stillLibrary();
  const { app, database } = library;
  let slow = false;
  await using _applying = await startApplying(library, async (point) => {
    if (slow && point === 'apply.scopes-resolved') await after(1_500);
  });
  await using _listening = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  const before = await catalogs(database.pool);
  const result = await library.change('cutover', {
    maxPauseMs: 200,
    failpoints: async (place) => {
      if (place !== 'switch.prepared') return;
      slow = true;
      await app.query("UPDATE library.loans SET note = 'slow' WHERE id = 1");
    },
  });
  expect(result).toMatchObject({ outcome: 'aborted', refusals: [{ name: 'pause-exceeded' }] });
  if (result.outcome === 'aborted') expect(result.pauseMs).toBeLessThan(10_000);
  expect(await catalogs(database.pool)).toEqual(before);
  const locks = `SELECT FROM pg_locks WHERE mode = 'ShareRowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  expect((await app.query(locks)).rowCount).toBe(0);
  slow = false;
  await app.query("UPDATE library.loans SET note = 'writers go on' WHERE id = 2");
  await library.equal();
});
