import { expect, test } from 'vitest';
import { systemClock } from '../../engine/clock.ts';
import type { Failpoint } from '../../engine/failpoint.ts';
import type { ValidationReport } from '../../engine/validate/report.ts';
import { migration } from '../../sql/migration.ts';
import { testDatabase } from '../support/database.ts';
import { seeded, synchronize } from './support.ts';

/** Small stretches, so that a small database has many. */
const inSmallStretches = { firstChunkScopes: 100, checkpointMs: 0 } as const;

const damageSql = `
  UPDATE media_files SET file_size_bytes = file_size_bytes + 1 WHERE id IN (SELECT id FROM media_items ORDER BY id LIMIT 3);
  DELETE FROM generation_jobs WHERE id = (SELECT id FROM generation_jobs ORDER BY id DESC LIMIT 1)`;

/** What a run found, without what depends on when. */
function findings({ targets, verdict, complete, checks }: ValidationReport): unknown {
  return {
    verdict,
    complete,
    checks: checks.map(({ name, outcome }) => ({ name, outcome })),
    targets: targets.map(({ target, compared, expected, present, drift, quarantined }) => ({
      target,
      compared,
      expected,
      present,
      drift: drift.map(({ key, kind, columns }) => ({ key, kind, columns })),
      quarantined: quarantined.differingRows,
    })),
  };
}

test.each<Failpoint>(['validate.compared', 'validate.recorded'])(
  'killed again and again at %s, a validation comes to the same end',
  async (place) => {
    await using database = await testDatabase({ template: seeded });
    await using sync = await synchronize(database, migration);
    await database.pool.query(damageSql);
    const expected = findings(await sync.validate());

    let deaths = 0;
    let report: ValidationReport | undefined;
    for (let reached = 0; report === undefined; ) {
      // Each life gets one stretch further than the one before.
      let passed = 0;
      const failpoints = (point: Failpoint) => {
        if (point !== place) return;
        passed += 1;
        if (place === 'validate.recorded' || passed > reached) throw new Error('killed');
      };
      report = await sync.validate({ ...inSmallStretches, failpoints, resume: true }).catch((error: Error) => {
        expect(error.message).toBe('killed');
        deaths += 1;
        reached += 1;
        return undefined;
      });
    }
    expect(deaths).toBeGreaterThan(3);
    expect(report.invocations).toBe(deaths + 1);
    expect(findings(report)).toEqual(expected);
  },
);

test('with a limit of time a validation is split into invocations, with the same result', async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  await database.pool.query(damageSql);
  const expected = findings(await sync.validate());

  let aheadMs = 0;
  const clock = { ...systemClock, nowMs: () => Date.now() + aheadMs };
  // One hour passes with each stretch, and an invocation has two.
  const failpoints = (point: Failpoint) => {
    if (point === 'validate.recorded') aheadMs += 3_600_000;
  };
  const reports: ValidationReport[] = [];
  do {
    const deadlineMs = clock.nowMs() + 2 * 3_600_000;
    reports.push(await sync.validate({ ...inSmallStretches, clock, failpoints, deadlineMs, resume: true }));
  } while (!reports.at(-1)?.complete);
  expect(reports.length).toBeGreaterThan(3);
  const last = reports.at(-1) as ValidationReport;
  expect(new Set(reports.map(({ run }) => run))).toEqual(new Set([last.run]));
  expect(reports[0]).toMatchObject({ complete: false, agrees: false, finishedAt: null });
  expect(findings(last)).toEqual(expected);
});

test('of two validators on one run no row is counted twice', async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  await database.pool.query(damageSql);
  const expected = findings(await sync.validate());
  // The first waits with what it has compared until the second, on the same run, has done everything.
  let second: ValidationReport | undefined;
  const first = await sync.validate({
    ...inSmallStretches,
    failpoints: async (point) => {
      if (point === 'validate.compared') second ??= await sync.validate({ ...inSmallStretches, resume: true });
    },
  });
  expect(second?.run).toBe(first.run);
  expect(findings(second as ValidationReport)).toEqual(expected);
  expect(findings(first)).toEqual(expected);
});

test('a sample compares about its share, another one each time, and tells no drift that it has not seen as gone', async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  await database.pool.query('UPDATE media_files SET file_size_bytes = file_size_bytes + 1');
  const whole = await sync.validate({ targets: ['media_files'] });
  const samples = [];
  for (let count = 0; count < 3; count += 1)
    samples.push(await sync.validate({ targets: ['media_files'], samplePercent: 30 }));
  const rows = whole.targets[0]?.compared ?? 0;
  expect(whole.targets[0]?.different).toBe(rows - (whole.targets[0]?.quarantined.differingRows ?? 0));
  for (const { targets, samplePercent, verdict } of samples) {
    expect(samplePercent).toBe(30);
    expect(verdict).toBe('differs');
    expect(targets[0]?.compared).toBeGreaterThan(rows * 0.2);
    expect(targets[0]?.compared).toBeLessThan(rows * 0.4);
  }
  // All keys that are told, not the first one: two samples of a third begin with the same row often enough.
  const told = samples.map(({ targets }) => JSON.stringify(targets[0]?.drift.map(({ key }) => key)));
  expect(new Set(told).size).toBe(samples.length);
  const open = await database.pool.query(
    'SELECT count(*)::int AS rows FROM lockstep.drift WHERE ended_at IS NULL AND NOT quarantined',
  );
  expect(open.rows[0].rows).toBe(whole.targets[0]?.different);
});

test('an unknown target and an impossible sample are refused by name', async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  await expect(sync.validate({ targets: ['media'] })).rejects.toThrow(
    'There is no target "media" in the forward direction; there are user_subscriptions, media_files',
  );
  await expect(sync.validate({ samplePercent: 100 })).rejects.toMatchObject({ code: 'LS_CONFIG' });
});
