/** Backfills whose message is struck out of the ledger: none stays behind that nobody goes on with. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { runBackfill } from '../../engine/backfill/run.ts';
import { wishForBackfill } from '../../engine/ledger/first-start.ts';
import { holdEntry } from '../../engine/ledger/strike.ts';
import { takeOver } from '../../engine/ledger/take-over.ts';
import type { BackfillMessage } from '../../engine/message/message.ts';
import { silent } from '../../engine/telemetry.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const message = (reason: BackfillMessage['reason'] = 'truncate'): BackfillMessage => ({
  version: 1,
  kind: 'backfill',
  id: randomUUID(),
  direction: 'forward',
  reason,
  targets: ['media_files'],
});

async function enter(pool: pg.Pool, { id, reason }: BackfillMessage): Promise<void> {
  await pool.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     VALUES ($1, 'forward', $2, 0, '1/0', clock_timestamp(), 0)`,
    [id, reason === 'truncate' ? 'truncate' : 'backfill'],
  );
}

const left = async (pool: pg.Pool) =>
  (await pool.query('SELECT id::text FROM lockstep.backfill WHERE finished_at IS NULL')).rows.map(({ id }) => id);

const waiting = async (pool: pg.Pool) => {
  const { rows } = await pool.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rows.length > 0;
};

/** Begins a message as an applier does, and leaves the transaction open. */
async function begin(database: TestDatabase, begun: BackfillMessage): Promise<pg.Client> {
  const loaded = await loadPhotomemory(database.pool);
  const client = await database.client();
  await client.query('BEGIN');
  expect(await holdEntry(client, begun.id)).toBe(true);
  await enterBackfill(client, loaded, begun);
  return client;
}

test('a run that a later one forgets ends with that one', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const loaded = await loadPhotomemory(pool);
  const interrupted = message();
  await enter(pool, interrupted);
  await enterBackfill(pool, loaded, interrupted);
  const all = { ...message('messages lost'), targets: loaded.targets.map(({ name }) => name) };
  await enter(pool, all);
  await enterBackfill(pool, loaded, all);
  const run = { pool, loaded, telemetry: silent, deadlineMs: Date.now() + 60_000 };
  expect(await runBackfill({ ...run, runId: all.id })).toBe('finished');
  expect((await pool.query('SELECT FROM lockstep.in_flight')).rowCount).toBe(0);
  expect(await left(pool)).toEqual([]);
  // Whoever is at it has nothing left to do.
  expect(await runBackfill({ ...run, runId: interrupted.id })).toBe('finished');
});

test('a message that is struck out while it is about to be begun is not', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const applier = createApplier({ pool, loaded: await loadPhotomemory(pool), telemetry: silent });
  const late = message();
  await enter(pool, late);
  const striking = await database.client();
  await striking.query('BEGIN');
  await striking.query('DELETE FROM lockstep.in_flight');
  const applied = applier.apply([late], { deadlineMs: Date.now() + 30_000 });
  await eventually(() => waiting(pool), { intervalMs: 2 });
  await striking.query('COMMIT');
  expect(await applied).toEqual([{ kind: 'duplicate' }]);
  expect((await pool.query('SELECT FROM lockstep.backfill')).rowCount).toBe(0);
});

test('a listener that takes over strikes out the run that is begun at that moment', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const begun = message();
  await enter(pool, begun);
  const applier = await begin(database, begun);
  const taken = takeOver(await database.client(), {
    direction: 'forward',
    slotName: 's',
    publicationName: 'p',
    shards: 1,
    confirmed: 0n,
    slotCreated: false,
  });
  await eventually(() => waiting(pool), { intervalMs: 2 });
  await applier.query('COMMIT');
  expect(await taken).toMatchObject({ forgotten: 1 });
  expect(await left(pool)).toEqual([]);
});

test('so does the wish for a backfill, when the slot is made anew', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  const begun = message('first start');
  await enter(pool, begun);
  const applier = await begin(database, begun);
  const wished = wishForBackfill(await database.client(), 'forward', randomUUID());
  await eventually(() => waiting(pool), { intervalMs: 2 });
  await applier.query('COMMIT');
  await wished;
  expect(await left(pool)).toEqual([]);
});
