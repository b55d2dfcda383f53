import { expect, test } from 'vitest';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { isClearUpTo, readInFlight } from '../../engine/ledger/watermark.ts';
import { parseLsn } from '../../engine/lsn.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createSlots, peek } from './library.ts';
import {
  captured,
  confirmed,
  createPhotos,
  endBackfill,
  engineSchema,
  Inbox,
  ledger,
  startListener,
} from './support.ts';

/** A database with a listener on table photos, and the inbox that it fills. */
async function listening(overrides: Parameters<typeof startListener>[3] = {}) {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase({ template: engineSchema }));
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const listener = stack.use(await startListener(database, migration, inbox, overrides));
  await captured(database);
  const rest = stack.move();
  const sql = async (...statements: string[]) => {
    for (const statement of statements) await database.pool.query(statement);
    await captured(database);
  };
  return { database, inbox, listener, sql, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

const sorted = (rows: readonly (readonly (string | null)[])[]) => rows.map((row) => JSON.stringify(row)).sort();

test('the first start asks for a backfill of all targets, once', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const first = await startListener(database, migration, inbox);
  await captured(database);
  await first.stop();
  expect(inbox.backfills).toMatchObject([{ reason: 'first start', targets: ['of all', 'of the first'] }]);
  const entries = await ledger(database);
  expect(entries).toMatchObject([{ kind: 'backfill', id: inbox.backfills[0]?.id }]);

  const begun = "INSERT INTO lockstep.backfill (id, direction, reason) VALUES ($1, 'forward', 'first start')";
  await database.pool.query(begun, [entries[0]?.id]);
  await using _second = await startListener(database, migration, inbox);
  await captured(database);
  expect(inbox.backfills).toHaveLength(1);
});

test('a slot that was dropped is made again, and everything derived again', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const first = await startListener(database, migration, inbox);
  await captured(database);
  await first.stop();
  await endBackfill(database.pool);
  await eventually(() =>
    database.pool.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()',
    ),
  );
  await using _second = await startListener(database, migration, inbox);
  await captured(database);
  expect(inbox.backfills).toHaveLength(2);
});

test('a direction that becomes the active one while its slot is made is derived again: its first writes are in no stream', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { pool } = database;
  const migration = await createPhotos(pool);
  await ensurePublication(pool, 'reverse', migration.forward);
  const inbox = new Inbox({ ...migration, reverse: migration.forward });
  // A slot is made when every transaction that runs now has ended.
  const long = await database.client();
  await long.query('BEGIN; SELECT pg_current_xact_id()');
  const starting = startListener(database, migration, inbox, { directionName: 'reverse' });
  await eventually(
    async () =>
      (await pool.query('SELECT FROM pg_replication_slots WHERE active AND database = current_database()')).rowCount,
  );
  await pool.query("UPDATE lockstep.phase SET phase = 'reverse'");
  await long.query('COMMIT');
  await using _listener = await starting;
  await eventually(() => inbox.backfills.length > 0);
  expect(await ledger(database)).toMatchObject([{ kind: 'backfill', id: inbox.backfills[0]?.id }]);
});

test('a migration that is complete gets no slot, which nobody would read', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await database.pool.query("UPDATE lockstep.phase SET phase = 'complete'");
  await expect(startListener(database, migration, new Inbox(migration))).rejects.toMatchObject({ code: 'LS_COMPLETE' });
  const slots = await database.pool.query('SELECT FROM pg_replication_slots WHERE database = current_database()');
  expect(slots.rowCount).toBe(0);
});

test('rows are named by key and by the routing value that the change wrote', async () => {
  await using run = await listening();
  await run.sql("INSERT INTO photos VALUES (1, 'a'), (2, NULL)");
  expect(sorted(run.inbox.rows())).toEqual(
    sorted([
      ['1', 'a'],
      ['2', null],
    ]),
  );
  await run.sql("UPDATE photos SET project_id = 'b' WHERE id = 1", 'DELETE FROM photos WHERE id = 2');
  expect(sorted(run.inbox.rows().slice(2))).toEqual(
    sorted([
      ['1', 'b'],
      ['2', null],
    ]),
  );
});

test('a change of the primary key names the old key and the new one', async () => {
  await using run = await listening();
  await run.sql("INSERT INTO photos VALUES (1, 'a')", "UPDATE photos SET id = 2, project_id = 'b'");
  expect(sorted(run.inbox.rows())).toEqual(
    sorted([
      ['1', 'a'],
      ['1', null],
      ['2', 'b'],
    ]),
  );
});

test('what a savepoint took back is not named', async () => {
  await using run = await listening();
  await run.sql(
    'BEGIN; INSERT INTO photos VALUES (1); SAVEPOINT s; INSERT INTO photos VALUES (2); ROLLBACK TO s; INSERT INTO photos VALUES (3); COMMIT',
  );
  await run.sql('BEGIN; INSERT INTO photos VALUES (4); ROLLBACK');
  expect(run.inbox.keys()).toEqual(new Set(['1', '3']));
});

test('a row inserted and deleted in one transaction is named', async () => {
  await using run = await listening();
  await run.sql("BEGIN; INSERT INTO photos VALUES (1, 'a'); DELETE FROM photos WHERE id = 1; COMMIT");
  expect(sorted(run.inbox.rows())).toEqual(
    sorted([
      ['1', 'a'],
      ['1', null],
    ]),
  );
});

test('a thousand changes of one row are one row', async () => {
  await using run = await listening();
  await run.sql("INSERT INTO photos VALUES (1, 'a')");
  const before = run.inbox.rows().length;
  await run.sql('DO $$ BEGIN FOR i IN 1..1000 LOOP UPDATE photos SET title = i::text; END LOOP; END $$');
  // One for each round that the transaction was read in.
  expect(run.inbox.rows().length - before).toBeLessThan(500);
  expect(run.inbox.keys()).toEqual(new Set(['1']));
});

test('a routing value that was TOASTed and not touched is unknown, not empty', async () => {
  await using run = await listening();
  await run.sql('ALTER TABLE photos ALTER project_id SET STORAGE EXTERNAL');
  await run.sql("INSERT INTO photos VALUES (1, repeat('x', 10000))", "UPDATE photos SET title = 't'");
  expect(run.inbox.rows().map(([key, routing]) => [key, routing?.length])).toEqual([
    ['1', 10_000],
    ['1', undefined],
  ]);
});

test('an update of another column beside a TOASTed one names the row', async () => {
  await using run = await listening();
  await run.sql("INSERT INTO photos SELECT 1, 'a', 't', string_agg(md5(i::text), '') FROM generate_series(1, 32768) i");
  const before = run.inbox.rows().length;
  await run.sql("UPDATE photos SET title = 'u'");
  expect(run.inbox.rows().slice(before)).toEqual([['1', 'a']]);
});

test('TRUNCATE asks for a backfill of the targets that read the table, and survives a crash before it is sent', async () => {
  await using run = await listening();
  await run.sql("INSERT INTO photos VALUES (1, 'a')", 'TRUNCATE photos');
  const [, truncation] = run.inbox.backfills;
  expect(truncation).toMatchObject({ reason: 'truncate', targets: ['of all', 'of the first'] });
  expect(await ledger(run.database)).toContainEqual(expect.objectContaining({ kind: 'truncate', id: truncation?.id }));
});

test('a table keeps being captured when it is renamed', async () => {
  await using run = await listening();
  await run.sql('ALTER TABLE photos RENAME TO pictures', "INSERT INTO pictures VALUES (1, 'a')");
  expect(run.inbox.rows()).toEqual([['1', 'a']]);
});

test('the ledger has every message before the queue, with the position and time of its first commit', async () => {
  await using run = await listening();
  const probe = `${run.database.name}_probe`;
  await createSlots(run.database, probe);
  run.inbox.close();
  await run.database.pool.query("INSERT INTO photos VALUES (1, 'a')");
  const entries = await eventually(async () => {
    const found = (await ledger(run.database)).filter(({ kind }) => kind === 'changes');
    return found.length > 0 && found;
  });
  expect(run.inbox.changes).toEqual([]);
  const [begin] = (await peek(run.database, probe, 'lockstep_forward')).filter((message) => message.tag === 'begin');
  const commit = parseLsn(begin?.commitLsn ?? '');
  expect(entries.map(({ commit_lsn, key_count }) => [parseLsn(commit_lsn), key_count])).toEqual([[commit, 1]]);
  const { rows } = await run.database.pool.query(
    "SELECT (extract(epoch FROM committed_at) * 1000000)::bigint::text AS micros FROM lockstep.in_flight WHERE kind = 'changes'",
  );
  expect(rows[0].micros).toBe(begin?.commitTime.toString());
  expect(await readInFlight(run.database.pool, 'forward')).toMatchObject({ messages: 2, keys: 1 });
  await run.database.pool.query("DELETE FROM lockstep.in_flight WHERE kind = 'backfill'");
  expect(await isClearUpTo(run.database.pool, 'forward', commit - 1n)).toBe(true);
  expect(await isClearUpTo(run.database.pool, 'forward', commit)).toBe(false);
  run.inbox.open();
  await captured(run.database);
  expect(run.inbox.changes.map(({ id }) => id)).toEqual(entries.map(({ id }) => id));
});

test('a huge transaction passes through in rounds, and is confirmed only when all of it is accepted', async () => {
  const rounds: number[] = [];
  const telemetry: Telemetry = {
    ...silent,
    measure: (metric, value) => metric === 'capture.changes' && rounds.push(value),
  };
  await using run = await listening({ telemetry, limits: { keysPerRound: 500 } });
  const before = await confirmed(run.database);
  const gate = { publish: run.inbox.publish.bind(run.inbox) };
  run.inbox.publish = async (messages, signal) => {
    if (run.inbox.keys().size > 10_000) run.inbox.close();
    await gate.publish(messages, signal);
  };
  await run.database.pool.query('INSERT INTO photos SELECT i, i % 100 FROM generate_series(1, 30000) i');
  await eventually(() => run.inbox.keys().size > 10_000);
  const { rows } = await run.database.pool.query(
    "SELECT max(commit_lsn)::text AS lsn FROM lockstep.in_flight WHERE kind = 'changes'",
  );
  expect(await confirmed(run.database)).toBeLessThanOrEqual(parseLsn(rows[0].lsn));
  expect(await confirmed(run.database)).toBeGreaterThanOrEqual(before);
  run.inbox.publish = gate.publish;
  run.inbox.open();
  await captured(run.database);
  expect(run.inbox.keys().size).toBe(30_000);
  // What one read of the socket (64 KiB) brings beyond the limit has to be kept too.
  expect(Math.max(...rounds)).toBeLessThan(500 + 3_000);
});

test('the slot follows the WAL while the published tables are idle and others are busy', async () => {
  await using run = await listening();
  await run.database.pool.query('CREATE TABLE busy (x text)');
  const { rows } = await run.database.pool.query(
    "INSERT INTO busy SELECT repeat('x', 100) FROM generate_series(1, 20000) RETURNING pg_current_wal_insert_lsn()::text AS lsn",
  );
  const last = parseLsn(rows.at(-1).lsn);
  await eventually(async () => (await confirmed(run.database)) > last);
  expect(run.inbox.changes).toEqual([]);
});

test('the signal ends it after the round in hand, which is confirmed', async () => {
  await using run = await listening();
  run.inbox.close();
  await run.database.pool.query('INSERT INTO photos VALUES (1)');
  await eventually(async () => (await ledger(run.database)).some(({ kind }) => kind === 'changes'));
  const stopped = run.listener.stop();
  run.inbox.open();
  await stopped;
  expect(run.inbox.keys()).toEqual(new Set(['1']));
  const [entry] = (await ledger(run.database)).filter(({ kind }) => kind === 'changes');
  await eventually(async () => (await confirmed(run.database)) > parseLsn(entry?.commit_lsn ?? ''));
});
