import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { enterBackfill, readBackfill, setBackfillPaused } from '../../engine/backfill/record.ts';
import { type BackfillOptions, runBackfill } from '../../engine/backfill/run.ts';
import { systemClock } from '../../engine/clock.ts';
import { withConnection } from '../../engine/connection.ts';
import { newestForgettable } from '../../engine/ledger/forgettable.ts';
import { readInFlight } from '../../engine/ledger/watermark.ts';
import type { LoadedDirection } from '../../engine/migration/load.ts';
import { listQuarantine } from '../../engine/quarantine/quarantine.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

const legacy = `
  INSERT INTO users (id, email, display_name, subscription_plan)
    SELECT md5('u' || n)::uuid, n || '@example.org', 'u', CASE WHEN n % 97 = 0 THEN 'gold' ELSE 'free' END FROM generate_series(1, 300) n;
  INSERT INTO video_projects (id, user_id, title, status)
    SELECT md5('p' || n)::uuid, md5('u' || n)::uuid, 't', 'draft' FROM generate_series(1, 300) n;
  INSERT INTO photos (id, project_id, original_filename, file_url, upload_order)
    SELECT md5('f' || n)::uuid, md5('p' || (n % 300 + 1))::uuid, CASE WHEN n % 401 = 0 THEN repeat('x', 300) ELSE n || '.jpg' END, 'https://cdn/' || n, n / 300
    FROM generate_series(1, 3000) n;
  INSERT INTO generated_videos (id, project_id, status, generation_service, file_url)
    SELECT md5('v' || n)::uuid, md5('p' || n)::uuid, CASE WHEN n % 100 = 0 THEN 'archived' ELSE 'completed' END::generation_status, 'runway', 'https://cdn/v' || n FROM generate_series(1, 300) n;`;

async function world() {
  const database = await testDatabase({ template: photomemory });
  await database.pool.query(legacy);
  const loaded = await loadPhotomemory(database.pool);
  return { ...database, loaded, [Symbol.asyncDispose]: database[Symbol.asyncDispose].bind(database) };
}

async function request(
  pool: pg.Pool,
  loaded: LoadedDirection,
  targets = loaded.targets.map(({ name }) => name),
  forgetsUpToSeq?: string,
): Promise<string> {
  const id = randomUUID();
  await withConnection(pool, async (client) => {
    await client.query('BEGIN');
    await enterBackfill(client, loaded, {
      id,
      direction: 'forward',
      reason: 'test',
      targets,
      ...(forgetsUpToSeq && { forgetsUpToSeq }),
    });
    await client.query('COMMIT');
  });
  return id;
}

const run = (pool: pg.Pool, loaded: LoadedDirection, runId: string, more: Partial<BackfillOptions> = {}) =>
  runBackfill({ pool, loaded, runId, telemetry: silent, deadlineMs: Date.now() + 60_000, ...more });

/** Rows of each target that are not what the view says, scopes in quarantine left out. */
async function differences(pool: pg.Pool, loaded: LoadedDirection): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { name, scope } of loaded.targets) {
    const columns = loaded.targets
      .find((target) => target.name === name)
      ?.columns.map((column) => `"${column.name}"`)
      .join(', ');
    const { rows } = await pool.query(
      `SELECT count(*)::int AS n FROM (
         (SELECT ${columns} FROM lockstep_forward.${name} EXCEPT SELECT ${columns} FROM ${name})
         UNION ALL (SELECT ${columns} FROM ${name} EXCEPT SELECT ${columns} FROM lockstep_forward.${name})) d
       WHERE ARRAY[d."${scope[0]}"::text] NOT IN (SELECT q.scope FROM lockstep.quarantine q WHERE q.target = '${name}')`,
    );
    found[name] = rows[0].n;
  }
  return found;
}
const none = { user_subscriptions: 0, media_files: 0, project_media: 0, generation_jobs: 0 };

test('a backfill makes every target what its view says, and quarantines what cannot be, alone', async () => {
  await using w = await world();
  await w.pool.query('ANALYZE');
  const id = await request(w.pool, w.loaded);
  expect(await run(w.pool, w.loaded, id)).toBe('finished');
  expect(await differences(w.pool, w.loaded)).toEqual(none);
  const quarantine = await listQuarantine(w.pool, 'forward', 1000);
  const counts = Object.groupBy(quarantine, ({ target, sqlState }) => `${target} ${sqlState}`);
  expect(Object.fromEntries(Object.entries(counts).map(([key, list]) => [key, list?.length]))).toEqual({
    'user_subscriptions 23503': 3,
    'media_files 22001': 7,
    'project_media 23503': 7,
    'generation_jobs 23514': 3,
  });
  const progress = await readBackfill(w.pool, 'forward');
  expect(progress.every(({ targetFinishedAt }) => targetFinishedAt !== null)).toBe(true);
  // A chunk of 500 that finds 300 has not done 500.
  for (const { target, scopesDone, scopesEstimated } of progress)
    expect([target, scopesDone <= scopesEstimated]).toEqual([target, true]);
  expect(progress.find(({ target }) => target === 'user_subscriptions')?.scopesDone).toBe(300);
});

test('a chunk that is too much for the server is halved until it is not', async () => {
  await using w = await world();
  const { pool, loaded } = w;
  // Or chunks would be merged scope by scope.
  await pool.query('DELETE FROM photos WHERE length(original_filename) > 255');
  await pool.query(`
    CREATE FUNCTION at_most_200() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (SELECT count(*) FROM added) > 200 THEN RAISE 'temporary file size exceeds temp_file_limit' USING ERRCODE = '53400'; END IF;
      RETURN NULL; END $$;
    CREATE TRIGGER at_most_200 AFTER INSERT ON media_files REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION at_most_200()`);
  const id = await request(pool, loaded, ['media_files']);
  const told: unknown[] = [];
  const telemetry: Telemetry = {
    ...silent,
    log: (level, event, { code } = {}) => void (event === 'backfill.chunk-repeated' && told.push([level, code])),
  };
  const clock = { nowMs: () => Date.now(), pauseMs: async () => {} };
  const ended = await run(pool, loaded, id, { telemetry, clock, deadlineMs: Date.now() + 120_000 });
  expect([ended, (await differences(pool, loaded)).media_files]).toEqual(['finished', 0]);
  // Of 500 and of 250; whatever grew too large later.
  expect(told.slice(0, 2)).toEqual([
    ['info', '53400'],
    ['info', '53400'],
  ]);
});

test('a row that the view lacks goes, also where the target holds nothing else', async () => {
  await using database = await world();
  const { pool, loaded } = database;
  // With a row that is refused the chunk would not be written by a plain INSERT.
  await pool.query('DELETE FROM photos WHERE length(original_filename) > 255');
  const [target] = loaded.targets.filter(({ name }) => name === 'media_files');
  const names = (target?.columns ?? [])
    .map(({ name }) => `"${name}"`)
    .filter((name) => name !== '"id"' && name !== '"file_key"');
  await pool.query(
    `INSERT INTO media_files (id, file_key, ${names.join(', ')})
     SELECT md5('nobody')::uuid, 'nobody', ${names.join(', ')} FROM lockstep_forward.media_files ORDER BY id LIMIT 1`,
  );
  expect(await run(pool, loaded, await request(pool, loaded))).toBe('finished');
  expect(await differences(pool, loaded)).toEqual(none);
});

test('killed at any chunk, it goes on where it was', async () => {
  await using w = await world();
  const id = await request(w.pool, w.loaded);
  let chunks = 0;
  let kills = 0;
  for (let kill = 1; ; kill += 2) {
    let hits = 0;
    const failpoints = (point: string) => {
      if (point === 'backfill.committed') chunks += 1;
      if ((point === 'backfill.before-commit' || point === 'backfill.committed') && ++hits === (kill % 3) + 1)
        throw new Error('killed');
    };
    try {
      expect(await run(w.pool, w.loaded, id, { failpoints })).toBe('finished');
      break;
    } catch (error) {
      expect((error as Error).message).toBe('killed');
      kills += 1;
    }
  }
  expect(kills).toBeGreaterThan(3);
  expect(await differences(w.pool, w.loaded)).toEqual(none);
  // Nothing that was committed was done again: 300 users, 3300 files, 300 projects, 300 jobs in chunks that double from 500.
  expect(chunks).toBeLessThan(12);
});

test('paused it stops after the chunk, and resumed it ends', async () => {
  await using w = await world();
  const id = await request(w.pool, w.loaded);
  const onProgress = async () => {
    await setBackfillPaused(w.pool, 'forward', true);
  };
  expect(await run(w.pool, w.loaded, id, { onProgress })).toBe('paused');
  const [first, second] = await readBackfill(w.pool, 'forward');
  expect([first?.targetFinishedAt === null, second?.startedAt]).toEqual([false, null]);
  await setBackfillPaused(w.pool, 'forward', false);
  expect(await run(w.pool, w.loaded, id)).toBe('finished');
  expect(await differences(w.pool, w.loaded)).toEqual(none);
});

test('two workers share one run', async () => {
  await using w = await world();
  const id = await request(w.pool, w.loaded);
  expect(await Promise.all([run(w.pool, w.loaded, id), run(w.pool, w.loaded, id)])).toEqual(['finished', 'finished']);
  expect(await differences(w.pool, w.loaded)).toEqual(none);
});

test('rows that moved between scopes while nothing was captured are neither lost nor doubled', async () => {
  await using w = await world();
  await run(w.pool, w.loaded, await request(w.pool, w.loaded));
  await w.pool.query(
    `UPDATE photos SET project_id = md5('p' || (get_byte(decode(md5(id::text), 'hex'), 0) % 300 + 1))::uuid`,
  );
  await w.pool.query(
    'DELETE FROM generated_videos WHERE id IN (SELECT id FROM generated_videos ORDER BY id LIMIT 100); DELETE FROM photos WHERE id IN (SELECT id FROM photos ORDER BY id LIMIT 100)',
  );
  expect(await run(w.pool, w.loaded, await request(w.pool, w.loaded))).toBe('finished');
  expect(await differences(w.pool, w.loaded)).toEqual(none);
});

const forgettable = (pool: pg.Pool, onWaiting = () => {}) =>
  newestForgettable(pool, 'forward', { clock: systemClock, signal: new AbortController().signal, onWaiting });

test('a message is not forgotten before its change can be seen', async () => {
  await using w = await world();
  const writer = await w.client();
  await writer.query("BEGIN; INSERT INTO users (id, email) VALUES (gen_random_uuid(), 'e')");
  let found: string | undefined;
  const finding = forgettable(w.pool).then((seq) => {
    found = seq;
  });
  await delay(200);
  expect(found).toBeUndefined();
  await writer.query('COMMIT');
  await finding;
  expect(found).toBe('0');
});

test('after a lost queue the run strikes out what was in flight when it was asked for, and nothing younger', async () => {
  await using w = await world();
  const enter = (id: string) =>
    w.pool.query(
      `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count) VALUES ($1, 'forward', 'changes', 0, '0/1', now(), 1)`,
      [id],
    );
  const [old, young] = [randomUUID(), randomUUID()];
  await enter(old);
  const id = await request(w.pool, w.loaded, undefined, await forgettable(w.pool));
  await enter(young);
  expect(await run(w.pool, w.loaded, id)).toBe('finished');
  expect((await w.pool.query('SELECT id::text FROM lockstep.in_flight')).rows).toEqual([{ id: young }]);
});

test('a backfill that runs for long is no change that is stuck; one that nobody has begun may be', async () => {
  await using w = await world();
  const enter = (id: string, kind: string, hours: number) =>
    w.pool.query(
      `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
       VALUES ($1, 'forward', $2, 0, '0/0', now() - make_interval(hours => $3), 0)`,
      [id, kind, hours],
    );
  const ageHours = async () => Math.round((await readInFlight(w.pool, 'forward')).oldestAgeMs / 3_600_000);
  const begun = await request(w.pool, w.loaded);
  await enter(begun, 'backfill', 50);
  expect(await ageHours()).toBe(0);
  await enter(randomUUID(), 'changes', 2);
  expect(await ageHours()).toBe(2);
  await enter(randomUUID(), 'backfill', 3);
  expect(await ageHours()).toBe(3);
  expect(await readInFlight(w.pool, 'forward')).toMatchObject({ messages: 3, oldestLsn: 0n });
});
