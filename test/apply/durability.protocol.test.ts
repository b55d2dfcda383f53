/**
 * What is durable before somebody else relies on it. A commit that is waited for does not come back here: the standby that
 * would have to confirm it does not exist. https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { enterBackfill } from '../../engine/backfill/record.ts';
import { runBackfill } from '../../engine/backfill/run.ts';
import { silent } from '../../engine/telemetry.ts';
import { startPostgres } from '../../infra/local/postgres.ts';
import { changes } from '../support/deliver.ts';
import { eventually } from '../support/eventually.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const id = (n: number) => `00000000-0000-0000-0000-0000000000${n}`;
const photos = [11, 12, 13];

/** Three photos, each in a project of its own, on a server whose own setting waits for nothing. */
async function world() {
  await using stack = new AsyncDisposableStack();
  const settings = { synchronous_commit: 'off' };
  const postgres = stack.use(await startPostgres({ major: inject('postgresMajor'), fsync: false, settings }));
  const pool = stack.adopt(new pg.Pool({ connectionString: postgres.url() }), (opened) => opened.end());
  pool.on('error', () => {});
  await photomemory.build(pool);
  const list = `unnest('{${photos.map(id)}}'::uuid[]) id`;
  await pool.query(`
    INSERT INTO users (id, email) VALUES ('${id(10)}', 'a');
    INSERT INTO video_projects (id, user_id, title) SELECT id, '${id(10)}', 't' FROM ${list};
    INSERT INTO photos (id, project_id, file_url, upload_order) SELECT id, id, 'u', 1 FROM ${list}`);
  const loaded = await loadPhotomemory(pool);
  const probe = new pg.Client({ connectionString: postgres.url() });
  probe.on('error', () => {});
  await probe.connect();
  stack.defer(() => probe.end());
  let probing: Promise<unknown> | undefined;
  const waitFor = (standby: string) =>
    pool
      .query(`ALTER SYSTEM SET synchronous_standby_names = '${standby}'`)
      .then(() => pool.query('SELECT pg_reload_conf()'));
  const waiting = async () =>
    (await pool.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).rowCount ?? 0;
  /** From now on a commit that is waited for waits; the probe's is the first. */
  const holdCommits = async () => {
    await waitFor('nobody');
    await eventually(async () => {
      probing ??= probe
        .query("BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_logical_emit_message(true, 'probe', ''); COMMIT")
        .finally(() => {
          probing = undefined;
        });
      return (await waiting()) === 1;
    });
  };
  const release = async () => {
    await waitFor('');
    await probing;
  };
  const rest = stack.move();
  const someoneWaits = () => eventually(async () => (await waiting()) === 2);
  return { pool, loaded, holdCommits, someoneWaits, release, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

test('of the transactions that handle a message the one is waited for that strikes it out', async () => {
  await using w = await world();
  const limits = { rowsPerTransaction: 1, scopesPerTransaction: 10 };
  const applier = createApplier({ pool: w.pool, loaded: w.loaded, telemetry: silent, limits });
  const message = await changes(w.pool, { photos: photos.map((n) => [id(n), id(n)]) });
  await w.holdCommits();
  const applying = applier.apply([message], { deadlineMs: Date.now() + 60_000 });
  await w.someoneWaits();
  // A transaction that waits is not seen by anybody yet.
  const { rows } = await w.pool.query<{ files: string; entries: string }>(
    'SELECT (SELECT count(*) FROM media_files) AS files, (SELECT count(*) FROM lockstep.in_flight) AS entries',
  );
  expect(rows).toEqual([{ files: '2', entries: '1' }]);
  await w.release();
  expect(await applying).toEqual([{ kind: 'done' }]);
  expect((await w.pool.query('SELECT FROM media_files')).rowCount).toBe(3);
  expect((await w.pool.query('SELECT FROM lockstep.in_flight')).rowCount).toBe(0);
});

test('a backfill is waited for at its end', async () => {
  await using w = await world();
  const runId = randomUUID();
  const targets = w.loaded.targets.map(({ name }) => name);
  await enterBackfill(w.pool, w.loaded, { id: runId, direction: 'forward', reason: 'test', targets });
  await w.holdCommits();
  const { pool, loaded } = w;
  const running = runBackfill({ pool, loaded, runId, telemetry: silent, deadlineMs: Date.now() + 60_000 });
  await w.someoneWaits();
  const { rows } = await pool.query<{ done: string; ended: boolean }>(
    `SELECT (SELECT count(*) FROM lockstep.backfill_target WHERE finished_at IS NOT NULL) AS done,
            (SELECT finished_at IS NOT NULL FROM lockstep.backfill) AS ended`,
  );
  expect(rows).toEqual([{ done: String(targets.length), ended: false }]);
  expect((await pool.query('SELECT FROM media_files')).rowCount).toBe(3);
  await w.release();
  expect(await running).toBe('finished');
});
