/** What needs a server with settings of its own. */
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { runListener } from '../../engine/capture/listener.ts';
import { silent } from '../../engine/telemetry.ts';
import { passBarrier } from '../../engine/wait/barrier.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { createPhotos, endBackfill, engineSchema, Inbox } from './support.ts';

async function server(settings: Record<string, string>) {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPostgres({ major: inject('postgresMajor'), fsync: false, settings }));
  const pool = stack.adopt(new pg.Pool({ connectionString: postgres.url() }), (opened) => opened.end());
  pool.on('error', () => {});
  await engineSchema.build(pool);
  const migration = await createPhotos(pool);
  const inbox = new Inbox(migration);
  const told: string[] = [];
  const rest = stack.move();
  const listen = async (signal = new AbortController().signal, onCapturing = () => {}) =>
    runListener({
      replication: { connectionString: postgres.url() },
      pool,
      directionName: 'forward',
      direction: migration.forward,
      publisher: inbox,
      telemetry: { ...silent, log: (_, event) => void told.push(event) },
      shards: 4,
      signal,
      onCapturing,
    });
  const once = async () => {
    const stopping = new AbortController();
    await listen(stopping.signal, () => stopping.abort());
  };
  return { pool, postgres, inbox, told, listen, once, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

test('wal_level that is not logical', async () => {
  await using run = await server({ wal_level: 'replica' });
  await expect(run.listen()).rejects.toMatchObject({ code: 'LS_WAL_LEVEL' });
});

test('no room for a slot or a sender; a slot that is lost is told of and made again, and everything derived again', async () => {
  await using run = await server({
    max_replication_slots: '1',
    max_wal_senders: '1',
    max_slot_wal_keep_size: '1MB',
    max_wal_size: '32MB',
    min_wal_size: '32MB',
  });
  await run.pool.query("SELECT pg_create_logical_replication_slot('other', 'pgoutput')");
  await expect(run.listen()).rejects.toMatchObject({ code: 'LS_SLOTS_EXHAUSTED' });
  await run.pool.query("SELECT pg_drop_replication_slot('other')");

  const sender = new pg.Client({ connectionString: run.postgres.url(), ...({ replication: 'database' } as object) });
  await sender.connect();
  await expect(run.listen()).rejects.toMatchObject({ code: 'LS_WAL_SENDERS_EXHAUSTED' });
  await sender.end();

  await eventually(() => run.once().then(() => true));
  await eventually(async () => {
    await run.pool.query("SELECT pg_switch_wal(), pg_logical_emit_message(false, 'fill', repeat('x', 1000000))");
    await run.pool.query('CHECKPOINT');
    const { rows } = await run.pool.query('SELECT wal_status FROM pg_replication_slots');
    return rows[0].wal_status === 'lost';
  });
  await expect(passBarrier({ db: run.pool, direction: 'forward', timeoutMs: 0 })).rejects.toMatchObject({
    code: 'LS_SLOT_LOST',
  });
  await endBackfill(run.pool);
  await run.once();
  expect(run.told).toContain('slot.lost');
  expect((await run.pool.query('SELECT wal_status FROM pg_replication_slots')).rows).toEqual([
    { wal_status: 'reserved' },
  ]);
  expect(run.inbox.backfills.map(({ reason }) => reason)).toEqual(['first start', 'slot lost']);
});
