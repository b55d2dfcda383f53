import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { openDatabase } from '../../infra/postgres/database.ts';
import { sqlStateOf } from '../sql/world.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import {
  addBackfill,
  addInFlight,
  addQuarantine,
  addRows,
  addStream,
  addValidation,
  readerOf,
  targets,
} from './world.ts';

/** Passes statements on and keeps them. */
function recording(pool: pg.Pool): { pool: pg.Pool; statements: string[] } {
  const statements: string[] = [];
  const query = (statement: string | { text: string }, ...rest: unknown[]) => {
    statements.push(typeof statement === 'string' ? statement : statement.text);
    return (pool.query as (...all: unknown[]) => unknown)(statement, ...rest);
  };
  return { pool: { query } as unknown as pg.Pool, statements };
}

test('per target: rows now, expected, in flight, quarantined, drifted, and how far its backfill is', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  await addStream(database);
  await addRows(pool);
  await addBackfill(pool, [1000, 500, 0, 0]);
  await addQuarantine(pool, 'media_files', 2);
  await addValidation(pool, 1);
  await addInFlight(pool, { photos: 5, users: 2 });
  const { snapshot } = await readerOf(pool).read(true);
  expect(snapshot.targets.map(({ target }) => target)).toEqual(targets);
  const [subscriptions, media, , jobs] = snapshot.targets;
  expect(media).toMatchObject({
    table: 'public.media_files',
    presentEstimate: 3,
    validated: { expected: 3, present: 3, drifted: 1 },
    quarantinedScopes: 2,
    backfill: { state: 'running', share: 0.5, scopesDone: 500 },
  });
  expect(media?.backfill?.secondsLeft).toBeCloseTo(60, -1);
  expect(subscriptions).toMatchObject({ validated: { drifted: 0 }, backfill: { state: 'done', share: 1 } });
  expect(jobs).toMatchObject({ presentEstimate: 0, backfill: { state: 'waiting', secondsLeft: null } });
  // Users are read by the subscriptions, photos by the media: each target has what can touch it.
  expect(subscriptions?.inFlightKeys).toBeGreaterThanOrEqual(2);
  expect(media?.inFlightKeys).toBeGreaterThanOrEqual(5);
  expect(snapshot.quarantine).toMatchObject([{ target: 'media_files', scopes: 2, sqlState: '22001', attempts: 1 }]);
  expect(snapshot.quarantine[0]?.examples).toHaveLength(2);
  expect(snapshot.reports).toMatchObject([{ verdict: 'differs', drift: 1, compared: 12 }]);
  // Nobody reads the slot: that comes first, whatever else is the matter.
  expect(snapshot.verdict).toMatchObject({ level: 'broken', title: expect.stringMatching(/No listener is connected/) });
});

test('ten seconds of looking are 60 statements at most, of which none reads a table of the application', async () => {
  await using database = await testDatabase({ template: photomemory });
  await addRows(database.pool);
  await addValidation(database.pool, 1);
  const { pool, statements } = recording(database.pool);
  const reader = readerOf(pool);
  const counts: number[] = [];
  // As with the usual cadence: each two seconds, and details at one of the five.
  for (const details of [true, false, false, false, false]) counts.push((await reader.read(details)).statements);
  expect(statements).toHaveLength(counts.reduce((sum, count) => sum + count, 0));
  const [first = 0, second = 0] = counts;
  expect(first - second).toBe(4);
  expect(statements.length).toBeLessThanOrEqual(60);
  const tables = ['users', 'photos', 'media_items', 'generated_videos', 'subscriptions', ...targets];
  for (const statement of statements) {
    expect(statement).not.toMatch(new RegExp(`\\b(from|join)\\s+(public\\.)?"?(${tables.join('|')})\\b`, 'i'));
    expect(statement).not.toMatch(/lockstep_forward\./);
  }
});

test('between two readings: rates, and what no table remembers', async () => {
  await using database = await testDatabase({ template: photomemory });
  const { pool } = database;
  await addStream(database);
  const reader = readerOf(pool);
  const first = await reader.read(true);
  expect(first.sample).toMatchObject({ sourceRowsPerSecond: null, targetRowsPerSecond: null });
  await addRows(pool);
  await addQuarantine(pool, 'media_files', 2);
  await pool.query(
    `INSERT INTO lockstep.phase_change (change, from_phase, to_phase, announced_lsn) VALUES ('cutover', 'forward', 'reverse', '0/1')`,
  );
  reader.note({ atMs: Date.now(), level: 'attention', text: 'the applier was killed' });
  const { sample, snapshot } = await reader.read(true);
  expect(sample.sourceRowsPerSecond).toBeGreaterThan(0);
  expect(sample.targetRowsPerSecond).toBeGreaterThan(0);
  expect(sample.walBytesPerSecond).toBeGreaterThan(0);
  const texts = snapshot.events.map(({ text }) => text);
  expect(texts).toContain('2 scopes of media_files went into quarantine');
  expect(texts).toContain('the applier was killed');
  expect(texts).toContain('The cutover turned the phase to reverse');
  expect(texts).toContain('The listener started');
  expect(texts.filter((text) => text === 'The listener started')).toHaveLength(1);
});

test('the monitor, which may read no row of the application nor of drift, sees all of it', async () => {
  await using database = await testDatabase({ template: photomemory });
  await database.pool.query(await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8'));
  await addValidation(database.pool, 3);
  const pool = new pg.Pool({ connectionString: database.url, max: 1, options: '-c role=lockstep_monitor' });
  pool.on('error', () => {});
  try {
    const { snapshot } = await readerOf(pool).read(true);
    expect(snapshot.targets.find(({ target }) => target === 'media_files')?.validated?.drifted).toBe(3);
    expect(await sqlStateOf(pool.query('SELECT key FROM lockstep.drift'))).toBe('42501');
    expect(await sqlStateOf(pool.query('SELECT columns FROM lockstep.drift'))).toBe('42501');
  } finally {
    await pool.end();
  }
});

test('the connection of the page cannot write', async () => {
  await using database = await testDatabase({ template: photomemory });
  const env = { LOCKSTEP_DATABASE_URL: database.url };
  await using opened = await openDatabase({ applicationName: 'test', env, readOnly: true, max: 1 });
  expect(await sqlStateOf(opened.pool.query('DELETE FROM lockstep.quarantine'))).toBe('25006');
});
