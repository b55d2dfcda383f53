/**
 * Changes many rows in one transaction and lets the listener capture it: its memory must stay flat, whatever the size.
 *
 *   node --max-semi-space-size=4 --heap-growing-percent=20 bench/processes/memory.ts [rows, default 5000000]
 *
 * The flags make V8 collect sooner what a round leaves behind: without the first the young generation alone may take 100 MB,
 * without the second the old one grows by as much again before it is collected.
 *
 * The listener runs in this process (the server in its own), with a queue that accepts at once. Prints one JSON object:
 * rows, seconds, rows per second, resident memory before, and its peak in each quarter of the capture.
 */

import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { runListener } from '../../engine/capture/listener.ts';
import { ensurePublication } from '../../engine/capture/publication.ts';
import type { Direction } from '../../engine/migration/contract.ts';
import { silent } from '../../engine/telemetry.ts';
import { startPostgres } from '../../infra/local/postgres.ts';

const rows = Number(process.argv[2] ?? 5_000_000);
const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024);

await using postgres = await startPostgres({ fsync: false });
const pool = new pg.Pool({ connectionString: postgres.url() });
// Connections that are just being ended when the server stops.
pool.on('error', () => {});
const schema = new URL('../../engine/schema/', import.meta.url);
for (const file of (await readdir(schema)).sort()) await pool.query(await readFile(new URL(file, schema), 'utf8'));
await pool.query('CREATE TABLE photos (id uuid PRIMARY KEY, project_id uuid, upload_order integer)');

const relation = { schema: 'public', name: 'photos' };
const target = { name: 'copies', relation, view: relation, scope: ['id'], writes: 'rows', walk: [] } as const;
const direction: Direction = {
  sources: [{ name: 'photos', relation, key: ['id'], routing: ['project_id'] }],
  targets: [{ ...target, scopesOf: { photos: 'SELECT id FROM changed' } }],
};
await ensurePublication(pool, 'forward', direction);

let named = 0;
let bytes = 0;
let rounds = 0;
const stopping = new AbortController();
const { promise: capturing, resolve } = Promise.withResolvers<void>();
const { promise: done, resolve: finish } = Promise.withResolvers<void>();
const ended = runListener({
  replication: { connectionString: postgres.url() },
  pool,
  directionName: 'forward',
  direction,
  publisher: {
    async publish(messages) {
      for (const { body } of messages) bytes += Buffer.byteLength(body);
    },
  },
  telemetry: {
    ...silent,
    measure(metric, value) {
      if (metric === 'capture.rounds') rounds += value;
      if (metric === 'capture.changes') named += value;
      if (named >= rows) finish();
    },
  },
  shards: 16,
  signal: stopping.signal,
  onCapturing: resolve,
});
await Promise.race([capturing, ended]);
const before = process.memoryUsage.rss();
const peaks = [0, 0, 0, 0];
const watch = setInterval(() => {
  const quarter = Math.min(3, Math.floor((4 * named) / rows));
  peaks[quarter] = Math.max(peaks[quarter] ?? 0, process.memoryUsage.rss());
}, 50);

await pool.query(
  `INSERT INTO photos SELECT gen_random_uuid(), md5((i / 20)::text)::uuid, i FROM generate_series(1, ${rows}) i`,
);
const started = performance.now();
await Promise.race([done, ended]);
const seconds = (performance.now() - started) / 1000;
clearInterval(watch);
stopping.abort();
await ended;
await pool.end();
const report = {
  rows,
  seconds: Number(seconds.toFixed(2)),
  rowsPerSecond: Math.round(rows / seconds),
  rounds,
  bodyMebibytes: mebibytes(bytes),
  memoryBeforeMebibytes: mebibytes(before),
  memoryPeakByQuarterMebibytes: peaks.map(mebibytes),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
