import pg from 'pg';
import { expect, test } from 'vitest';
import type { AppEvent } from '../../app/events.ts';
import { openSchemas, type Schemas } from '../../app/index.ts';
import { legacyRepositories } from '../../app/legacy/repositories.ts';
import { normalizedRepositories } from '../../app/normalized/repositories.ts';
import { sqlOnPool } from '../../app/sql.ts';
import { randomFrom } from '../../engine/random.ts';
import { startApplying, startListening, stillWorld, type World } from '../e2e/world.ts';
import { rows, value } from '../sql/world.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { Client } from './load/client.ts';
import { Latencies, table } from './load/latencies.ts';
import { forgotten } from './load/memory.ts';
import { operate } from './load/way.ts';

/** Of each stage: how many, and not how long, so that a busy machine takes longer and does the same. LOCKSTEP_TEST_LOAD_REQUESTS. */
const stageRequests = Number(process.env.LOCKSTEP_TEST_LOAD_REQUESTS ?? 60);
const clientCount = 8;

/** Who was there before the load: nobody writes for them, but everything of theirs is carried over and back. */
const population = (people: number) => `
  INSERT INTO users (id, email, subscription_plan, total_storage_bytes)
  SELECT gen_random_uuid(), n || '@mail.example', 'free', 13000 FROM generate_series(1, ${people}) n;
  INSERT INTO video_projects (id, user_id, title) SELECT gen_random_uuid(), id, 'An old trip' FROM users;
  INSERT INTO photos (project_id, original_filename, file_url, mime_type, file_size_bytes, upload_order)
  SELECT id, n || '.jpg', 'https://files.example/' || id || n, 'image/jpeg', 1000, n FROM video_projects, generate_series(1, 10) n;
  INSERT INTO media_items (user_id, original_filename, file_url, mime_type, file_size_bytes)
  SELECT id, 'old.pdf', 'https://files.example/' || id, 'application/pdf', 1000 FROM users;
  INSERT INTO generated_videos (project_id, status, generation_service, file_url, file_size_bytes, ai_prompt)
  SELECT id, 'completed', 'luma', 'https://files.example/v' || id, 2000, 'the sea' FROM video_projects`;

/** Two processes of an application, each with its pool, and half of the clients. */
async function startLoad({ database }: World, latencies: Latencies) {
  await using started = new AsyncDisposableStack();
  const events: AppEvent[] = [];
  const processes: Schemas[] = [];
  for (const _ of [1, 2]) {
    const pool = started.adopt(new pg.Pool({ connectionString: database.url, max: 6 }), (own) => own.end());
    processes.push(started.use(await openSchemas({ pool, observe: (event) => void events.push(event) })));
  }
  const clients = Array.from({ length: clientCount }, (_, n) => {
    const schemas = processes[n % processes.length];
    if (!schemas) throw new RangeError('no process');
    return new Client(schemas, randomFrom(n + 1), latencies);
  });
  // Whoever runs meets a guard by chance; this one is there for it.
  const late = new Client(processes[0] as Schemas, randomFrom(0), latencies);
  await late.begin();
  const stopping = new AbortController();
  const running = clients.map((client) => client.run(stopping.signal));
  const stop = async () => {
    stopping.abort();
    await Promise.all(running);
    for (const schemas of processes) await schemas.shadowsDone();
  };
  started.defer(stop);
  const parts = started.move();
  return { clients, late, events, stop, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const count = (events: readonly AppEvent[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { event } of events) counts[event] = (counts[event] ?? 0) + 1;
  return counts;
};

/** Prompts are for the service that makes the videos; the repositories do not answer them. */
const promptsSql = (table: 'legacy' | 'normalized') =>
  table === 'legacy'
    ? 'SELECT id, ai_prompt AS prompt FROM generated_videos'
    : `SELECT gj.id, coalesce(mf.metadata ->> 'ai_prompt', gj.output_metadata ->> 'ai_prompt') AS prompt
       FROM generation_jobs gj LEFT JOIN media_files mf ON mf.id = gj.output_file_id`;

test('an application with 8 clients runs through backfill, flags, cutover and rollback: no error, and nothing forgotten', {
  timeout: 600_000 + 1_000 * stageRequests,
}, async () => {
  await using world = await stillWorld();
  const { pool } = world.database;
  await pool.query(population(stageRequests));
  const latencies = new Latencies();
  const operator = operate(world);
  const pauses: number[] = [];
  /** A stage is what happens at its beginning, and some requests after that. */
  const stage = async (name: string, work: () => Promise<unknown> = async () => undefined) => {
    latencies.stage = name;
    await work();
    const enough = latencies.requests + stageRequests;
    await eventually(() => latencies.requests >= enough, { timeoutMs: 60_000 + 100 * stageRequests });
  };
  latencies.stage = 'before';
  await using load = await startLoad(world, latencies);
  await stage('before');
  await using parts = new AsyncDisposableStack();
  await stage('backfill', async () => {
    parts.use(await startApplying(world));
    parts.use(await startListening(world));
    await operator.backfilled();
  });
  const [first] = load.clients[0]?.memory.plans.keys() ?? [];
  await stage('flags 1 %', () => operator.flags({ state: 'percentage', percentage: 1, allow: [first] }));
  await stage('flags 10 %', async () => {
    await operator.shadowReads(20);
    await operator.flags({ state: 'percentage', percentage: 10, allow: [first] });
  });
  await stage('flags 50 %', () => operator.flags({ state: 'percentage', percentage: 50 }));
  await stage('flags 100 %', () => operator.flags(true));
  await stage('armed', () => operator.arm());
  await stage('cutover', async () => pauses.push(await load.late.across(() => operator.change('cutover'))));
  await stage('normalized');
  await stage('rollback', async () => pauses.push(await load.late.across(() => operator.change('rollback'))));
  await stage('after');
  await load.stop();

  const { clients, events } = load;
  const memories = [...clients, load.late].map(({ memory }) => memory);
  // The figures are what this test is about.
  process.stderr.write(
    `${table(latencies.summary())}\nwriters waited ${pauses.map(Math.round).join(' and ')} ms\n${JSON.stringify(count(events))}\n`,
  );
  expect(clients.flatMap(({ errors }) => errors)).toEqual([]);
  await world.settle();
  // Legacy has one plan for all of a person's subscriptions; those that are past had their own after the cutover.
  const lost = await differences(pool, world.loaded);
  expect(Object.keys(lost).filter((target) => target !== 'user_subscriptions')).toEqual([]);
  for (const row of lost.user_subscriptions ?? []) expect(row).toMatchObject({ status: 'cancelled' });
  await operator.repair();
  await world.agree();
  const sql = sqlOnPool(pool);
  for (const [side, repositories] of Object.entries({
    legacy: legacyRepositories(sql),
    normalized: normalizedRepositories(sql),
  })) {
    for (const memory of memories) expect(await forgotten(memory, repositories), side).toEqual([]);
  }
  for (const side of ['legacy', 'normalized'] as const) {
    const kept = new Map(
      (await rows<{ id: string; prompt: string }>(pool, promptsSql(side))).map((row) => [row.id, row.prompt]),
    );
    for (const memory of memories)
      for (const [id, { prompt }] of memory.videos) expect(kept.get(id), `prompt of ${id} in ${side}`).toBe(prompt);
  }
  expect(await value(pool, "SELECT count(*)::int FROM audit_logs WHERE action = 'discard'")).toBe(
    memories.reduce((sum, { audited }) => sum + audited, 0),
  );
  // Both sides were asked a good many times, and never disagreed.
  expect(await rows(pool, 'SELECT * FROM lockstep_app.shadow_differences')).toEqual([]);
  expect(await value(pool, 'SELECT coalesce(sum(agreed), 0)::int FROM lockstep_app.shadow_reads')).toBeGreaterThan(10);
  // Each stage was one, and each turn was met.
  for (const { stage: name, kind, requests } of latencies.summary())
    expect(requests, `${name} ${kind}`).toBeGreaterThan(5);
  expect(new Set(events.flatMap((event) => (event.event === 'turned' ? [event.to] : [])))).toEqual(
    new Set(['normalized', 'legacy']),
  );
  expect(memories.some(({ videos }) => [...videos.values()].some(({ url }) => url === null))).toBe(true);
});
