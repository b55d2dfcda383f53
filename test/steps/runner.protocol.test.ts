import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readSteps } from '../../engine/steps/folder.ts';
import { runSteps, withStepsLock } from '../../engine/steps/run.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'steps-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const impatient = { lockTimeoutMs: 50, patienceMs: 400, pauseMs: 10 };
const patient = { lockTimeoutMs: 50, patienceMs: 30_000, pauseMs: 10 };

async function run(client: pg.Client, limits = patient, owner = 'm'): Promise<string[]> {
  const files = await readSteps(owner, folder);
  const applied = await withStepsLock(client, silent, () =>
    runSteps({ client, files, phase: 'forward', legacy: false, telemetry: silent, limits }),
  );
  return applied.map(({ name }) => name);
}

async function indexes(client: pg.Client): Promise<unknown[]> {
  const { rows } = await client.query(
    `SELECT indexrelid::regclass::text AS name, indisvalid AS valid FROM pg_index WHERE indrelid = 't'::regclass`,
  );
  return rows;
}

test('steps are applied once and recorded; other SQL files are not steps', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int); INSERT INTO t VALUES (1);');
  write('002_two.sql', "INSERT INTO t VALUES (2); SELECT 'é';");
  write('roles.sql', 'SELECT no_such_thing()');
  expect(await run(client)).toEqual(['001_one.sql', '002_two.sql']);
  expect(await run(client)).toEqual([]);
  const { rows } = await client.query(
    'SELECT name, applied_at IS NOT NULL AS applied, duration_ms > 0 AS timed FROM lockstep.step',
  );
  expect(rows).toEqual([
    { name: '001_one.sql', applied: true, timed: true },
    { name: '002_two.sql', applied: true, timed: true },
  ]);
  expect((await client.query('SELECT a FROM t')).rowCount).toBe(2);
});

test('eight runners at once apply each step once', async () => {
  await using database = await testDatabase();
  write('001_one.sql', 'CREATE TABLE t (a int);');
  write('002_two.sql', '-- lockstep: no transaction\nCREATE INDEX CONCURRENTLY i ON t (a);');
  const clients = await Promise.all(Array.from({ length: 8 }, () => database.client()));
  const applied = await Promise.all(clients.map((client) => run(client)));
  expect(applied.flat().sort()).toEqual(['001_one.sql', '002_two.sql']);
});

test('a step that fails is rolled back as a whole, and its error names file, line and statement', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int PRIMARY KEY);');
  write('002_two.sql', 'INSERT INTO t VALUES (7);\n\nSELECT a,\n  b\nFROM t;');
  await expect(run(client)).rejects.toMatchObject({
    code: 'LS_STEP_FAILED',
    message: expect.stringMatching(
      /002_two.sql line 4: column "b" does not exist \(SQLSTATE 42703\).*SELECT a, b FROM t/,
    ),
  });
  expect((await client.query('SELECT a FROM t')).rowCount).toBe(0);
  write('002_two.sql', 'INSERT INTO t VALUES (7), (7);');
  const failure = await run(client).catch((error: Error) => error.message);
  expect(failure).toContain('duplicate key');
  expect(failure).not.toContain('(a)=(7)');
  write('002_two.sql', 'INSERT INTO t VALUES (7);');
  expect(await run(client)).toEqual(['002_two.sql']);
});

test('an edited step stops everything, line ends aside', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int);\n');
  await run(client);
  write('001_one.sql', 'CREATE TABLE t (a int);\r\n');
  expect(await run(client)).toEqual([]);
  write('001_one.sql', 'CREATE TABLE t (b int);\n');
  write('002_two.sql', 'CREATE TABLE u (a int);');
  await expect(run(client)).rejects.toMatchObject({ code: 'LS_STEP_EDITED' });
  expect((await client.query("SELECT to_regclass('u') AS u")).rows).toEqual([{ u: null }]);
});

test('a database belongs to one migration', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'SELECT 1;');
  await run(client, patient, 'photos');
  await expect(run(client, patient, 'orders')).rejects.toMatchObject({
    code: 'LS_STEP_MIGRATION',
    message: expect.stringContaining('"photos"'),
  });
});

test('a failed concurrent index is dropped and built again; what stands above it does not run twice', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1);');
  write(
    '002_two.sql',
    '-- lockstep: no transaction\nCREATE TABLE once (a int);\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (a);',
  );
  await expect(run(client)).rejects.toMatchObject({
    code: 'LS_STEP_HALTED',
    message: expect.stringMatching(/002_two.sql line 3: could not create unique index/),
  });
  expect(await indexes(client)).toEqual([{ name: 'i', valid: false }]);
  await client.query('DELETE FROM t');
  expect(await run(client)).toEqual(['002_two.sql']);
  expect(await indexes(client)).toEqual([{ name: 'i', valid: true }]);
});

test('an index that was built just before the runner died is taken as built', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int);');
  write('002_two.sql', '-- lockstep: no transaction\nCREATE INDEX CONCURRENTLY i ON t (a);');
  await run(client);
  await client.query("UPDATE lockstep.step SET applied_at = NULL WHERE name = '002_two.sql'");
  expect(await run(client)).toEqual(['002_two.sql']);
});

test('an invalid index that someone else left is not mistaken for ours', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1);');
  await run(client);
  await client.query('CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)').catch(() => {});
  write('002_two.sql', '-- lockstep: no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);');
  await expect(run(client)).rejects.toMatchObject({
    code: 'LS_STEP_HALTED',
    message: expect.stringContaining('index "i" is not valid'),
  });
});

test('of a step that halted, only the part that has not run may be edited', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', '-- lockstep: no transaction\nCREATE TABLE t (a int);\nSELECT no_such_thing();');
  await expect(run(client)).rejects.toMatchObject({ code: 'LS_STEP_HALTED' });
  write('001_one.sql', '-- lockstep: no transaction\nCREATE TABLE t (b int);\nSELECT 1;');
  await expect(run(client)).rejects.toMatchObject({
    code: 'LS_STEP_EDITED',
    message: expect.stringContaining('line 2'),
  });
  write('001_one.sql', '-- lockstep: no transaction\nCREATE TABLE t (a int);\nSELECT 1;');
  expect(await run(client)).toEqual(['001_one.sql']);
});

test('writers never wait longer for a step than its lock timeout, and the step gets through when it can', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int);');
  await run(client);
  write('002_two.sql', 'ALTER TABLE t ADD b int;');
  const reader = await database.client();
  await reader.query('BEGIN; SELECT * FROM t');
  const step = run(client);
  // The writer stands behind the step's request for the table, which is given up again and again.
  const writer = await database.client();
  for (let n = 0; n < 20; n += 1) {
    const began = performance.now();
    await writer.query('INSERT INTO t VALUES (1)');
    expect(performance.now() - began).toBeLessThan(10_000);
  }
  await reader.query('COMMIT');
  expect(await step).toEqual(['002_two.sql']);
});

test('a table that stays locked is an error that names the transaction', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int);');
  await run(client);
  write('002_two.sql', 'ALTER TABLE t ADD b int;');
  const reader = await database.client();
  await reader.query("SET application_name = 'a long report'; BEGIN; SELECT * FROM t");
  await expect(run(client, impatient)).rejects.toMatchObject({
    code: 'LS_STEP_LOCKED',
    message: expect.stringContaining('(a long report, '),
  });
  await reader.query('COMMIT');
});

test('a concurrent index outlasts long transactions instead of giving up', async () => {
  await using database = await testDatabase();
  const client = await database.client();
  write('001_one.sql', 'CREATE TABLE t (a int);');
  await run(client);
  write('002_two.sql', '-- lockstep: no transaction\nCREATE INDEX CONCURRENTLY i ON t (a);');
  const writer = await database.client();
  await writer.query('BEGIN; INSERT INTO t VALUES (1)');
  const step = run(client, impatient);
  const waiting = `SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock'
                      AND datname = current_database() AND clock_timestamp() - state_change > interval '600 ms'`;
  const observer = await database.client();
  await eventually(async () => (await observer.query(waiting)).rowCount === 1);
  await writer.query('COMMIT');
  expect(await step).toEqual(['002_two.sql']);
});
