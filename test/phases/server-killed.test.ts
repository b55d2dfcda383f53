import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { Failpoint, Failpoints } from '../../engine/failpoint.ts';
import { type Server, startServer } from '../chaos/server.ts';
import { startApplying, startListening } from '../e2e/world.ts';
import { eventually } from '../support/eventually.ts';
import { startNetwork } from '../support/network.ts';
import { catalogs, type Library, stillLibrary } from './world.ts';

interface OwnServer extends Library {
  readonly server: Server;
}

/** The library on a server of its own, armed and in step; listener and appliers live through whatever becomes of the server. */
async function startOwn(): Promise<OwnServer> {
  await using started = new AsyncDisposableStack();
  // What must be durable is so whatever the server's default is.
  const server = started.use(await startServer({ synchronous_commit: 'off' }));
  const library = started.use(await stillLibrary(20, server.url()));
  const { sqs, queueUrl } = library.queue;
  // What an applier had in hand when the server went comes again in a test's time, and not after six minutes.
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl: queueUrl, Attributes: { VisibilityTimeout: '2' } }));
  started.use(await startApplying(library));
  started.use(await startListening(library));
  await library.settle();
  await library.arm();
  const parts = started.move();
  return { ...library, server, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const kill = ({ server }: OwnServer) => server.restart('SIGKILL', 0);
const at =
  (place: Failpoint, what: () => Promise<void>): Failpoints =>
  async (reached) => {
    if (reached === place) await what();
  };

/** What the application writes now to the side that is the truth arrives on the other one, which refuses it. */
async function goesOn(library: OwnServer, note: string): Promise<void> {
  const { pool } = library.database;
  const phase = await library.phase();
  const sides = { loans: 'note', borrowings: 'remark' } as const;
  const [truth, other] = phase === 'forward' ? (['loans', 'borrowings'] as const) : (['borrowings', 'loans'] as const);
  await pool.query(`UPDATE library.${truth} SET ${sides[truth]} = $1 WHERE id = 1`, [note]);
  await library.captured();
  await library.equal();
  const { rows } = await pool.query(`SELECT ${sides[other]} AS note FROM library.${other} WHERE id = 1`);
  expect(rows).toEqual([{ note }]);
  const { rows: changes } = await pool.query('SELECT FROM lockstep.phase_change LIMIT 1');
  if (changes.length === 0) return;
  await expect(pool.query(`DELETE FROM library.${other}`), note).rejects.toMatchObject({ code: 'LS001' });
  const { rows: flags } = await pool.query("SELECT value FROM library.settings WHERE name = 'use_borrowings'");
  expect(flags).toEqual([{ value: phase === 'forward' ? 'no' : 'yes' }]);
}

test('kill -9 of the server in the middle of a cutover leaves not a trace; just after the commit, all of it has happened', {
  timeout: 600_000,
}, async () => {
  await using library = await startOwn();
  await library.validate();
  const before = await catalogs(library.database.pool);
  for (const place of ['switch.locked', 'switch.drained', 'switch.turned', 'switch.before-commit'] as const) {
    const cutover = library.change('cutover', { maxPauseMs: 60_000, failpoints: at(place, () => kill(library)) });
    await expect(cutover, place).rejects.toThrow(/connection/i);
    expect([place, await library.phase()]).toEqual([place, 'forward']);
    expect(await catalogs(library.database.pool)).toEqual(before);
    await goesOn(library, place);
  }
  expect(
    await library.change('cutover', { maxPauseMs: 60_000, failpoints: at('switch.committed', () => kill(library)) }),
  ).toMatchObject({ outcome: 'switched', phase: 'reverse' });
  expect(await library.change('cutover')).toMatchObject({ outcome: 'already', phase: 'reverse' });
  await goesOn(library, 'after the commit');
});

interface HeldCommits {
  /** Resolves when the COMMIT of a change waits. */
  waits(): Promise<unknown>;
  release(): Promise<void>;
}

/** From now on a commit is in the WAL, waits for a standby which is not there, and is not answered. */
async function holdCommits(pool: pg.Pool): Promise<HeldCommits> {
  await pool.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await pool.query('SELECT pg_reload_conf()');
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE $1`;
  const waits = (query: string) => eventually(async () => (await pool.query(waiting, [query])).rowCount === 1);
  // The server takes a moment to wait for it: what committed before that has not waited, and is tried again.
  let probe: Promise<unknown> | undefined;
  await eventually(async () => {
    probe ??= pool
      .query(
        "/* probe */ BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'probe', ''); COMMIT",
      )
      .catch(() => undefined)
      .finally(() => {
        probe = undefined;
      });
    return (await pool.query(waiting, ['/* probe */%'])).rowCount === 1;
  });
  return {
    waits: () => waits('COMMIT'),
    async release() {
      await pool.query('ALTER SYSTEM RESET synchronous_standby_names');
      await pool.query('SELECT pg_reload_conf()');
      await probe;
    },
  };
}

test('the server is killed when the commit is written and nobody has been told: the cutover asks, and says that it is done', {
  timeout: 400_000,
}, async () => {
  await using library = await startOwn();
  await library.validate();
  let killed: Promise<void> | undefined;
  const result = await library.change('cutover', {
    maxPauseMs: 60_000,
    failpoints: at('switch.before-commit', async () => {
      const held = await holdCommits(library.database.pool);
      killed = (async () => {
        await held.waits();
        await kill(library);
        await held.release();
      })();
    }),
  });
  await killed;
  expect(result).toMatchObject({ outcome: 'switched', phase: 'reverse' });
  expect(await library.phase()).toBe('reverse');
  await goesOn(library, 'the answer was lost');
});

test('only the connection breaks, and the server goes on committing: the cutover asks until that is over', {
  timeout: 400_000,
}, async () => {
  await using library = await startOwn();
  const { pool, url } = library.database;
  await using network = await startNetwork(url);
  await using through = new AsyncDisposableStack();
  const cuttable = through.adopt(new pg.Pool({ connectionString: network.url }), (ended) => ended.end());
  cuttable.on('error', () => undefined);
  await library.validate();
  let released: Promise<void> | undefined;
  const result = await library.change('cutover', {
    pool: cuttable,
    maxPauseMs: 60_000,
    failpoints: at('switch.before-commit', async () => {
      const held = await holdCommits(pool);
      released = (async () => {
        await held.waits();
        network.cut();
        const asking = "SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_xact_lock%'";
        await eventually(async () => (await pool.query(asking)).rowCount);
        expect(await library.phase()).toBe('forward');
        await held.release();
      })();
    }),
  });
  await released;
  expect(result).toMatchObject({ outcome: 'switched', phase: 'reverse' });
  await goesOn(library, 'the connection was lost');
});

test('kill -9 of the server at any moment of a cutover and of the way back: wholly forward or wholly reverse', {
  timeout: 600_000,
}, async () => {
  await using library = await startOwn();
  const { pool } = library.database;
  for (let round = 1; round <= 4; round += 1) {
    await library.validate();
    const from = await library.phase();
    const before = await catalogs(pool);
    let killed: Promise<void> | undefined;
    const killSoon = async () => {
      await delay(randomInt(0, 60));
      await kill(library);
    };
    const ended = await library
      .change(from === 'forward' ? 'cutover' : 'rollback', {
        maxPauseMs: 60_000,
        failpoints: at('switch.prepared', async () => {
          killed = killSoon();
        }),
      })
      .catch((error: unknown) => error);
    await killed;
    const phase = await library.phase();
    if (phase === from) {
      expect(ended).toBeInstanceOf(Error);
      expect(await catalogs(pool)).toEqual(before);
    } else expect(ended).toMatchObject({ outcome: 'switched', phase });
    await goesOn(library, `round ${round}`);
  }
});
