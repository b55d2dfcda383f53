import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import pg from 'pg';
import { expect, test } from 'vitest';
import { reportSchema } from '../../engine/validate/report.ts';
import { createValidateHandler } from '../../functions/validate/handler.ts';
import { upkeepFailed } from '../../infra/contract.ts';
import { bucketStore, folderStore, reportStore } from '../../infra/reports/store.ts';
import { migration } from '../../sql/migration.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { testQueue } from '../support/queue.ts';
import { seeded, synchronize } from './support.ts';

const invocation = { getRemainingTimeInMillis: () => 60_000 };

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'lockstep-reports-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Connections with the rights that the deployed function has. */
async function asValidator(database: TestDatabase): Promise<AsyncDisposable & { pool: pg.Pool }> {
  await database.pool.query(await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8'));
  const pool = new pg.Pool({ connectionString: database.url, max: 4, options: '-c role=lockstep_validator' });
  pool.on('error', () => {});
  return { pool, [Symbol.asyncDispose]: () => pool.end() };
}

test('the scheduled function validates, alarms about drift, and keeps its reports', async () => {
  await using database = await testDatabase({ template: seeded });
  await using folder = await temporaryFolder();
  await using _sync = await synchronize(database, migration);
  await using validator = await asValidator(database);
  const measured: Record<string, number> = {};
  const logged: string[] = [];
  const telemetry = {
    log: (level: string, event: string) => void logged.push(`${level} ${event}`),
    measure: (metric: string, value: number) => {
      measured[metric] = (measured[metric] ?? 0) + value;
    },
  };
  const handler = createValidateHandler({
    pool: validator.pool,
    migration,
    reports: folderStore(folder.path),
    telemetry,
  });
  const latest = async (file: string) => readFile(join(folder.path, 'photomemory', file), 'utf8');

  expect(await handler({ task: 'counts' }, invocation)).toEqual({ task: 'counts', verdict: 'agrees', complete: true });
  expect(reportSchema.parse(JSON.parse(await latest('counts/latest.json')))).toMatchObject({
    targets: [],
    agrees: true,
  });
  expect(await handler({ task: 'rows' }, invocation)).toEqual({ task: 'rows', verdict: 'agrees', complete: true });
  expect(measured).toMatchObject({ validate_failed: 0, validate_finished: 2 });

  await database.pool.query(
    `DELETE FROM media_files WHERE id = (SELECT id FROM media_items JOIN media_files USING (id) LIMIT 1)`,
  );
  expect(await handler({ task: 'counts' }, invocation)).toEqual({ task: 'counts', verdict: 'differs', complete: true });
  expect(await handler({ task: 'rows' }, invocation)).toEqual({ task: 'rows', verdict: 'differs', complete: true });
  expect(measured).toMatchObject({ validate_failed: 2, validate_rows_drifted: 1 });
  expect(logged).toContain('error validation');
  const report = reportSchema.parse(JSON.parse(await latest('rows/latest.json')));
  expect(report.targets.map(({ missing }) => missing)).toEqual([0, 1, 0, 0]);
  expect(await latest('rows/latest.html')).toContain('Both sides do not agree');
  expect(await latest(`rows/${report.startedAt.slice(0, 10)}/${report.run}.json`)).toBe(
    await latest('rows/latest.json'),
  );

  await database.pool.query(`UPDATE lockstep.phase SET phase = 'complete'`);
  expect(await handler({ task: 'rows' }, invocation)).toEqual({ task: 'rows', verdict: null, complete: true });
  await expect(handler({ source: 'aws.events' }, invocation)).rejects.toMatchObject({ code: 'LS_CONFIG' });
});

test('the scheduled function does the upkeep, and says what it could not do', async () => {
  await using database = await testDatabase({ template: seeded });
  const { pool } = database;
  const partition = `SELECT format('audit_logs_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) AS name`;
  const { rows } = await pool.query<{ name: string }>(partition);
  await pool.query(`DROP TABLE ${rows[0]?.name}`);
  await using validator = await asValidator(database);
  const failures: number[] = [];
  const measure = (name: string, value: number) => void (name === upkeepFailed && failures.push(value));
  const parts = { pool: validator.pool, reports: folderStore('/nowhere'), telemetry: { log() {}, measure } };
  expect(await createValidateHandler({ ...parts, migration })({ task: 'upkeep' }, invocation)).toMatchObject({
    task: 'upkeep',
  });
  expect((await pool.query('SELECT to_regclass($1)::text AS made', [rows[0]?.name])).rows[0].made).toBe(rows[0]?.name);

  const broken = {
    ...migration,
    upkeep: { 'what cannot be': 'SELECT 1/0', 'what can': 'SELECT public.ensure_audit_log_partitions(7)' },
  };
  await expect(
    createValidateHandler({ ...parts, migration: broken })({ task: 'upkeep' }, invocation),
  ).rejects.toMatchObject({
    code: 'LS_UPKEEP_FAILED',
    message: 'Upkeep failed: what cannot be.',
  });
  expect(failures).toEqual([0, 1]);
  const partitions = `SELECT count(*)::int AS count FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass`;
  expect((await pool.query(partitions)).rows[0].count).toBe(10);
});

test('reports are kept in a bucket, and a store that refuses them is told by name', async () => {
  await using queue = await testQueue();
  const client = new S3Client({
    endpoint: queue.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    forcePathStyle: true,
    maxAttempts: 1,
  });
  await client.send(new CreateBucketCommand({ Bucket: 'reports' }));
  await bucketStore(client, 'reports').put('a/latest.json', '{"é":1}', 'application/json');
  const kept = await client.send(new GetObjectCommand({ Bucket: 'reports', Key: 'a/latest.json' }));
  expect(kept.ContentType).toBe('application/json');
  expect(await kept.Body?.transformToString()).toBe('{"é":1}');
  await expect(bucketStore(client, 'no-such-bucket').put('a', 'b', 'text/plain')).rejects.toMatchObject({
    code: 'LS_REPORT_UNWRITABLE',
  });
  await expect(folderStore('/dev/null').put('a', 'b', 'text/plain')).rejects.toMatchObject({
    code: 'LS_REPORT_UNWRITABLE',
  });
  client.destroy();
  expect(() => reportStore({})).toThrow('LOCKSTEP_REPORT_BUCKET');
});
