import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { slotName } from '../../engine/capture/names.ts';
import type { Failpoint, Failpoints } from '../../engine/failpoint.ts';
import { enter, heartbeat, type LedgerEntry } from '../../engine/ledger/entries.ts';
import { takeOver } from '../../engine/ledger/take-over.ts';
import type { Lsn } from '../../engine/lsn.ts';
import { isApplied, raiseBarrier } from '../../engine/wait/barrier.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import {
  breakStream,
  captured,
  confirmed,
  createPhotos,
  endBackfill,
  engineSchema,
  Inbox,
  ledger,
  startListener,
} from './support.ts';

/** Dies at a named place, once something is being sent and `ready` has been waited for. */
function dieAt(place: Failpoint, ready = async () => {}): { failpoints: Failpoints; arm: () => void } {
  let armed = false;
  return {
    arm: () => {
      armed = true;
    },
    failpoints: async (point) => {
      if (!armed || point !== place) return;
      await ready();
      throw new Error(`killed at ${place}`);
    },
  };
}

const places: [Failpoint, { sent: number }][] = [
  ['listener.round-collected', { sent: 1 }],
  ['listener.ledger-written', { sent: 1 }],
  ['listener.messages-sent', { sent: 2 }],
  ['listener.position-confirmed', { sent: 1 }],
];

test.each(places)('killed at %s, nothing is lost and the ledger is exact', async (place, { sent }) => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  let before: Lsn = 0n;
  // A confirmation that the server has not read yet would be lost with the connection, and the change be read again.
  const death = dieAt(place, async () => {
    if (place !== 'listener.position-confirmed') return;
    await eventually(async () => (await confirmed(database)) > before);
  });
  const first = await startListener(database, migration, inbox, {
    failpoints: death.failpoints,
    limits: { idleConfirmMs: 600_000 },
  });
  await captured(database);
  await endBackfill(database.pool);
  // Not at a round that only moves the position past the backfill's end.
  await captured(database);
  before = await confirmed(database);
  death.arm();
  await database.pool.query("INSERT INTO photos VALUES (1, 'a')");
  await expect(first.ended).rejects.toThrow(`killed at ${place}`);

  await using _second = await startListener(database, migration, inbox);
  await captured(database);
  expect(inbox.keys()).toEqual(new Set(['1']));
  expect(inbox.changes).toHaveLength(sent);
  // The message whose change was read again has no entry any more: when it arrives it is skipped.
  const entries = (await ledger(database)).filter(({ kind }) => kind === 'changes');
  expect(entries.map(({ id }) => id)).toEqual([inbox.changes.at(-1)?.id]);
});

test('killed between the wish for a backfill and the queue, the same backfill is sent at the next start', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const refusing = { publish: () => Promise.reject(new Error('killed')) };
  const first = await startListener(database, migration, refusing);
  await expect(first.ended).rejects.toThrow('killed');
  const inbox = new Inbox(migration);
  await using _second = await startListener(database, migration, inbox);
  await captured(database);
  expect(inbox.backfills.map(({ id }) => id)).toEqual((await ledger(database)).map(({ id }) => id));
  expect(inbox.backfills).toHaveLength(1);
});

test('a backfill that was asked for before the slot was lost does not count for the new slot', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const first = await startListener(database, migration, inbox);
  await captured(database);
  await first.stop();
  await eventually(() =>
    database.pool.query('SELECT pg_drop_replication_slot($1)', [slotName('forward', database.name)]),
  );
  await using _second = await startListener(database, migration, inbox);
  await captured(database);
  const [former, latter] = inbox.backfills.map(({ id }) => id);
  expect(latter).not.toBe(former);
  expect((await ledger(database)).map(({ id }) => id)).toEqual([latter]);
});

test('what committed before the slot was made does not count as applied until everything is derived', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  await database.pool.query("INSERT INTO photos VALUES (1, 'a')");
  const barrier = await raiseBarrier(database.pool);
  const inbox = new Inbox(migration);
  await using _listener = await startListener(database, migration, inbox);
  await captured(database);
  expect(await isApplied(database.pool, 'forward', barrier)).toEqual({ captured: true, applied: false });
  await database.pool.query('DELETE FROM lockstep.in_flight WHERE id = $1', [inbox.backfills[0]?.id]);
  expect(await isApplied(database.pool, 'forward', barrier)).toEqual({ captured: true, applied: true });
});

test('the slot dropped while a message was entered and not sent: nothing waits for that message for ever', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const death = dieAt('listener.ledger-written');
  const first = await startListener(database, migration, new Inbox(migration), { failpoints: death.failpoints });
  await captured(database);
  death.arm();
  await database.pool.query("INSERT INTO photos VALUES (1, 'a')");
  await expect(first.ended).rejects.toThrow('killed');
  expect((await ledger(database)).map(({ kind }) => kind)).toEqual(['backfill', 'changes']);
  await eventually(() =>
    database.pool.query('SELECT pg_drop_replication_slot($1)', [slotName('forward', database.name)]),
  );
  await using _second = await startListener(database, migration, new Inbox(migration));
  await captured(database);
  expect((await ledger(database)).map(({ kind }) => kind)).toEqual(['backfill']);
});

test('of several that start together one captures, with one backfill', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const starts = await Promise.allSettled([1, 2, 3].map(() => startListener(database, migration, inbox)));
  const running = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  expect(running).toHaveLength(1);
  for (const start of starts) {
    if (start.status === 'rejected') expect(start.reason).toMatchObject({ code: 'LS_LISTENER_RUNNING' });
  }
  await captured(database);
  await running[0]?.stop();
  expect(inbox.backfills.map(({ id }) => id)).toEqual((await ledger(database)).map(({ id }) => id));
});

test('a second listener is refused, and a standby takes over when the first ends', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  await using first = await startListener(database, migration, inbox);
  await captured(database);
  await expect(startListener(database, migration, inbox)).rejects.toMatchObject({ code: 'LS_LISTENER_RUNNING' });
  const standing = startListener(database, migration, inbox, { standby: true });
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await captured(database);
  await first.stop();
  await using _second = await standing;
  await database.pool.query('INSERT INTO photos VALUES (2)');
  await captured(database);
  expect(inbox.keys()).toEqual(new Set(['1', '2']));
});

test('a listener that has lost its slot without knowing can send nothing that counts', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const frozen = Promise.withResolvers<void>();
  let reached = false;
  const first = await startListener(database, migration, inbox, {
    failpoints: async (point) => {
      if (point !== 'listener.round-collected' || !reached) return;
      await frozen.promise;
    },
  });
  await captured(database);
  reached = true;
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await turn();
  await breakStream(database);
  await using _second = await startListener(database, migration, inbox, { standby: true });
  await captured(database);
  frozen.resolve();
  await expect(first.ended).rejects.toMatchObject({ code: 'LS_CONNECTION_LOST' });
  expect(inbox.changes).toHaveLength(1);
  expect((await ledger(database)).filter(({ kind }) => kind === 'changes')).toMatchObject([
    { id: inbox.changes[0]?.id },
  ]);
});

const stream = {
  direction: 'forward',
  slotName: 's',
  publicationName: 'p',
  shards: 4,
  confirmed: 100n,
  slotCreated: false,
} as const;
const entry = (id: number, commitLsn: bigint, kind: LedgerEntry['kind'] = 'changes'): LedgerEntry => ({
  id: `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`,
  kind,
  shard: 0,
  commitLsn,
  committedAtMicros: 1_700_000_000_123_456n,
  keyCount: 1,
  sourceKeys: { a: 1 },
});

test('after a take-over the former listener can enter nothing, not even when it began before', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const { tenure: former } = await takeOver(await database.client(), stream);
  const slow = await database.client();
  await slow.query('BEGIN');
  await enter(slow, former, [entry(1, 99n), entry(2, 100n), entry(3, 101n, 'truncate'), entry(4, 102n, 'backfill')]);
  await slow.query(
    "INSERT INTO lockstep.backfill (id, direction, reason) VALUES ($1, 'forward', 'truncate'), ($2, 'forward', 'first start')",
    [entry(3, 0n).id, entry(4, 0n).id],
  );

  const taking = takeOver(await database.client(), stream);
  await eventually(
    async () =>
      (
        await database.pool.query(
          "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
      ).rowCount,
  );
  await slow.query('COMMIT');
  const { tenure, forgotten } = await taking;
  expect(tenure.epoch).toBe(former.epoch + 1n);
  expect(forgotten).toBe(2);
  expect((await ledger(database)).map(({ id }) => id)).toEqual([entry(1, 0n).id, entry(4, 0n).id]);
  const runs = await database.pool.query('SELECT id FROM lockstep.backfill');
  expect(runs.rows).toEqual([{ id: entry(4, 0n).id }]);

  await expect(enter(database.pool, former, [entry(5, 200n)])).rejects.toMatchObject({
    code: 'LS_LISTENER_SUPERSEDED',
  });
  await expect(heartbeat(database.pool, former, 0n)).rejects.toMatchObject({ code: 'LS_LISTENER_SUPERSEDED' });
  await enter(database.pool, tenure, [entry(6, 200n)]);
  await heartbeat(database.pool, tenure, 0n);
  expect(await ledger(database)).toHaveLength(3);
});
