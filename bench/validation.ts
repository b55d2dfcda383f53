/**
 * A full pass of the validator against EXCEPT both ways, on the same data in one run; memory must stay flat.
 *
 *   node bench/validation.ts [users, default 50000: a million photos]
 *
 * PhotoMemory is seeded and synchronized, one row is damaged, and both are run in turns. Each EXCEPT has one statement a
 * table, and the memory that the validator's chunks have. Prints one JSON object: rows compared, the best time of each
 * in milliseconds, their ratio, whether the pass named the damaged row, and this process's resident memory.
 */

import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { createApplier } from '../engine/apply/applier.ts';
import { runListener } from '../engine/capture/listener.ts';
import { ensurePublication } from '../engine/capture/publication.ts';
import { quote, quoteRelation } from '../engine/identifiers.ts';
import { decode } from '../engine/message/codec.ts';
import { type LoadedTarget, loadDirection } from '../engine/migration/load.ts';
import { silent } from '../engine/telemetry.ts';
import { validate } from '../engine/validate/validate.ts';
import { passBarrier } from '../engine/wait/barrier.ts';
import { startPostgres } from '../infra/local/postgres.ts';
import { migration } from '../sql/migration.ts';
import { seedLegacy } from '../sql/seed.ts';

const users = Number(process.argv[2] ?? 50_000);
const turns = 3;
const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024);

await using postgres = await startPostgres({ fsync: false });
const pool = new pg.Pool({ connectionString: postgres.url() });
// Connections that are idle while the server stops at the end.
pool.on('error', () => {});
for (const folder of ['../engine/schema/', '../sql/']) {
  const names = (await readdir(new URL(folder, import.meta.url))).filter((name) => /^00[0-7]_.*\.sql$/.test(name));
  for (const name of names.sort()) await pool.query(await readFile(new URL(folder + name, import.meta.url), 'utf8'));
}
const client = await pool.connect();
await seedLegacy(client, { users });
client.release();

await ensurePublication(pool, 'forward', migration.forward);
const loaded = await loadDirection(pool, 'forward', migration.forward);
const applier = createApplier({ pool, loaded, telemetry: silent });
const stopping = new AbortController();
const deadlineMs = Number.POSITIVE_INFINITY;
const applying: Promise<unknown>[] = [];
const { promise: capturing, resolve } = Promise.withResolvers<void>();
const ended = runListener({
  replication: { connectionString: postgres.url() },
  pool,
  directionName: 'forward',
  direction: migration.forward,
  publisher: {
    async publish(outgoing) {
      const messages = outgoing.flatMap(({ body }) => decode(body, migration).message ?? []);
      // Not waited for: the listener goes on while its messages are handled.
      applying.push(applier.apply(messages, { deadlineMs }));
    },
  },
  telemetry: silent,
  shards: 16,
  signal: stopping.signal,
  onCapturing: resolve,
});
await Promise.race([capturing, ended]);
await passBarrier({ db: pool, direction: 'forward', timeoutMs: 3_600_000 });
await Promise.all(applying);
await pool.query('VACUUM ANALYZE');
const damaged = await pool.query<{ id: string }>(
  `UPDATE media_files SET uploaded_at = uploaded_at + interval '1 microsecond' WHERE id = (SELECT id FROM media_files ORDER BY md5(id::text) LIMIT 1) RETURNING id`,
);

async function exceptBothWays(target: LoadedTarget): Promise<void> {
  const columns = target.columns.map(({ name }) => quote(name)).join(', ');
  const [view, table] = [quoteRelation(target.view), quoteRelation(target.relation)];
  const session = await pool.connect();
  await session.query("BEGIN; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'");
  await session.query(`
    SELECT count(*) FROM (
      (SELECT ${columns} FROM ${view} EXCEPT SELECT ${columns} FROM ${table})
      UNION ALL (SELECT ${columns} FROM ${table} EXCEPT SELECT ${columns} FROM ${view})) d`);
  await session.query('COMMIT');
  session.release();
}

const times = { except: [] as number[], validate: [] as number[] };
let found = true;
let compared = 0;
let peak = 0;
const before = process.memoryUsage.rss();
const watch = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 50);
for (let turn = 0; turn < turns; turn += 1) {
  let started = performance.now();
  for (const target of loaded.targets) await exceptBothWays(target);
  times.except.push(performance.now() - started);
  started = performance.now();
  const report = await validate({ pool, loaded, telemetry: silent, targets: loaded.targets.map(({ name }) => name) });
  times.validate.push(performance.now() - started);
  compared = report.targets.reduce((sum, target) => sum + target.compared, 0);
  const drift = report.targets.flatMap((target) => target.drift.map(({ key }) => key.id));
  found &&= drift.length === 1 && drift[0] === damaged.rows[0]?.id;
}
clearInterval(watch);
stopping.abort();
await ended;
await pool.end();

const [exceptMs, validateMs] = [Math.round(Math.min(...times.except)), Math.round(Math.min(...times.validate))];
const ratio = Number((validateMs / exceptMs).toFixed(2));
const memory = { before: mebibytes(before), peak: mebibytes(peak) };
process.stdout.write(`${JSON.stringify({ compared, exceptMs, validateMs, ratio, found, memoryMiB: memory })}\n`);
