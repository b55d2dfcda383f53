import type pg from 'pg';
import { expect, test } from 'vitest';
import type { DriftRow, ValidationReport } from '../../engine/validate/report.ts';
import { migration } from '../../sql/migration.ts';
import { testDatabase } from '../support/database.ts';
import { differences } from '../support/differences.ts';
import { churn, seeded, synchronize } from './support.ts';

const allDrift = (report: ValidationReport) =>
  report.targets.flatMap(({ target, drift }) => drift.map((row) => ({ target, ...row })));

test('dirty data that is synchronized agrees, and every row is compared', async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  const report = await sync.validate();
  expect(report).toMatchObject({ agrees: true, complete: true, reasons: [], verdict: 'agrees' });
  expect(report.finishedAt).not.toBeNull();
  for (const { compared, expected, present, quarantined, drift } of report.targets) {
    expect(compared).toBe(expected);
    expect(present).toBe(expected - quarantined.differingRows);
    expect(compared).toBeGreaterThan(50);
    expect(drift).toEqual([]);
    expect(quarantined.scopes).toBeGreaterThan(0);
  }
  expect(report.checks.length).toBeGreaterThan(8);
  for (const { outcome } of report.checks) expect(outcome).toBe('pass');
  expect(report.listings.map(({ rows }) => rows > 0)).toEqual([true, true]);
});

/** Ids of synchronized rows of a target that is not in quarantine, as many as asked for. */
async function pick(pool: pg.Pool, sql: string): Promise<string[]> {
  return (await pool.query<{ id: string }>(sql)).rows.map(({ id }) => id);
}

/** Damages done by hand to the normalized tables, and how the report must name each. */
async function damage(pool: pg.Pool): Promise<Record<string, Partial<DriftRow> & { target: string }>> {
  const mediaItems = await pick(
    pool,
    `SELECT m.id FROM media_files m JOIN media_items USING (id) ORDER BY m.id LIMIT 6`,
  );
  const [gone, micro, json, empty, text] = mediaItems as [string, string, string, string, string];
  const [jobA, jobB] = (await pick(pool, 'SELECT id FROM generation_jobs ORDER BY id LIMIT 2')) as [string, string];
  const [moved, slower] = (await pick(pool, 'SELECT id FROM project_media ORDER BY id DESC LIMIT 2')) as [
    string,
    string,
  ];
  const [subscription] = (await pick(
    pool,
    `SELECT id FROM user_subscriptions WHERE plan_id = 'free' ORDER BY id LIMIT 1`,
  )) as [string];
  const extra = 'eeeeeeee-0000-0000-0000-000000000001';
  const spare = 'eeeeeeee-0000-0000-0000-000000000002';
  const from = await pick(pool, `SELECT project_id AS id FROM project_media WHERE id = '${moved}'`);
  const [elsewhere] = (await pick(
    pool,
    `SELECT id FROM video_projects WHERE id <> '${from[0]}' ORDER BY id LIMIT 1`,
  )) as [string];
  await pool.query(`
    DELETE FROM media_files WHERE id = '${gone}';
    INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes)
      SELECT '${extra}', user_id, 'x', 'by hand', 'x', 'file', 'x/x', 1 FROM media_files LIMIT 1;
    UPDATE media_files SET uploaded_at = uploaded_at + interval '1 microsecond' WHERE id = '${micro}';
    UPDATE media_files SET metadata = coalesce(metadata, '{}') || '{"by":"hand"}' WHERE id = '${json}';
    UPDATE media_files SET thumbnail_url = NULL WHERE id = '${empty}';
    UPDATE media_files SET original_filename = original_filename || ' ' WHERE id = '${text}';
    UPDATE generation_jobs SET id = '${spare}' WHERE id = '${jobA}';
    UPDATE generation_jobs SET id = '${jobA}' WHERE id = '${jobB}';
    UPDATE generation_jobs SET id = '${jobB}' WHERE id = '${spare}';
    UPDATE project_media SET project_id = '${elsewhere}', display_order = 1000000 WHERE id = '${moved}';
    UPDATE project_media SET duration_seconds = 3.01 WHERE id = '${slower}';
    UPDATE user_subscriptions SET plan_id = 'pro' WHERE id = '${subscription}'`);
  const columns = (...names: string[]) =>
    expect.objectContaining(Object.fromEntries(names.map((name) => [name, expect.anything()])));
  return {
    [gone]: { target: 'media_files', kind: 'missing', columns: columns('file_key', 'created_at') },
    [extra]: { target: 'media_files', kind: 'extra', columns: columns('file_key') },
    [micro]: { target: 'media_files', kind: 'different', columns: { uploaded_at: expect.anything() } },
    [json]: { target: 'media_files', kind: 'different', columns: { metadata: expect.anything() } },
    [empty]: { target: 'media_files', kind: 'different', columns: { thumbnail_url: { expected: '', present: null } } },
    [text]: { target: 'media_files', kind: 'different', columns: { original_filename: expect.anything() } },
    [jobA]: { target: 'generation_jobs', kind: 'different' },
    [jobB]: { target: 'generation_jobs', kind: 'different' },
    [moved]: {
      target: 'project_media',
      kind: 'different',
      scope: [from[0] ?? ''],
      foundInScope: [elsewhere],
      columns: {
        project_id: { expected: from[0] ?? '', present: elsewhere },
        display_order: expect.objectContaining({ present: '1000000' }),
      },
    },
    [slower]: {
      target: 'project_media',
      kind: 'different',
      columns: { duration_seconds: { expected: '3.00', present: '3.01' } },
    },
    [subscription]: {
      target: 'user_subscriptions',
      kind: 'different',
      columns: { plan_id: { expected: 'free', present: 'pro' } },
    },
  };
}

test('every kind of damage is found in one pass under traffic, named exactly, and repaired', async () => {
  await using database = await testDatabase({ template: seeded });
  const { pool } = database;
  // An empty text, not NULL, so that NULL in its place is a difference.
  await pool.query(`UPDATE media_items SET thumbnail_url = ''`);
  await using sync = await synchronize(database, migration);
  await using traffic = await churn(database);
  const expected = await damage(pool);

  const report = await sync.validate();
  const byKey = Object.fromEntries(allDrift(report).map((row) => [row.key.id, row]));
  expect(new Set(Object.keys(byKey))).toEqual(new Set(Object.keys(expected)));
  expect(byKey).toMatchObject(expected);
  expect(report).toMatchObject({ agrees: false, verdict: 'differs', complete: true });

  const firstSeen = Object.fromEntries(allDrift(report).map((row) => [row.key.id, row.firstSeenAt]));
  const repaired = await sync.validate({ repair: true });
  expect(repaired.repair).toMatchObject({
    outcome: 'done',
    rows: Object.keys(expected).length,
    deleted: 1,
    inserted: 1,
    quarantined: 0,
  });
  for (const row of allDrift(repaired)) {
    expect(row.repairedAt).not.toBeNull();
    expect(row.firstSeenAt).toBe(firstSeen[row.key.id ?? '']);
  }
  expect(repaired).toMatchObject({ agrees: true, verdict: 'agrees' });

  const after = await sync.validate();
  expect(after).toMatchObject({ agrees: true, reasons: [], repair: null });
  expect(allDrift(after)).toEqual([]);
  expect(after.trend.map(({ drift }) => drift)).toEqual([11, 0, 0]);
  expect(traffic.changes()).toBeGreaterThan(10);
  await traffic.stop();
  await sync.caughtUp();
  expect(await differences(pool, sync.loaded)).toEqual({});
});

test('damage in a quarantined scope is told, and not repaired in silence', async () => {
  await using database = await testDatabase({ template: seeded });
  const { pool } = database;
  await using sync = await synchronize(database, migration);
  const [user] = (await pick(
    pool,
    `SELECT user_id AS id FROM user_subscriptions WHERE plan_id = 'free' ORDER BY 1 LIMIT 1`,
  )) as [string];
  await pool.query(`UPDATE users SET subscription_plan = 'platinum' WHERE id = $1`, [user]);
  await sync.caughtUp();
  await pool.query(`UPDATE user_subscriptions SET stripe_customer_id = 'by hand' WHERE user_id = $1`, [user]);

  const report = await sync.validate({ repair: true });
  const subscriptions = report.targets.find(({ target }) => target === 'user_subscriptions');
  expect(subscriptions?.drift).toEqual([]);
  expect(subscriptions?.quarantined.rows).toContainEqual(
    expect.objectContaining({
      kind: 'different',
      scope: [user],
      columns: expect.objectContaining({ stripe_customer_id: expect.objectContaining({ present: 'by hand' }) }),
    }),
  );
  expect(subscriptions?.quarantined.examples).toContainEqual(
    expect.objectContaining({ scope: [user], sqlState: '23503' }),
  );
  expect(report.repair).toMatchObject({ rows: 0, scopes: 0 });
  const { rows } = await pool.query('SELECT stripe_customer_id FROM user_subscriptions WHERE user_id = $1', [user]);
  expect(rows).toEqual([{ stripe_customer_id: 'by hand' }]);
});
