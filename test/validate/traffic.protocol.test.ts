import pg from 'pg';
import { expect, test } from 'vitest';
import { migration } from '../../sql/migration.ts';
import { startTraffic } from '../../sql/traffic.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { seeded, synchronize } from './support.ts';

/** `npm run soak` is the long one. */
const seconds = Number(process.env.LOCKSTEP_TEST_SECONDS ?? 12);
/** Several batches for each applier. */
const mostInFlight = 60;

test('under heavy traffic a validator in a loop has not one false alarm', {
  timeout: (seconds + 120) * 1_000,
}, async () => {
  await using database = await testDatabase({ template: seeded });
  await using sync = await synchronize(database, migration);
  const application = new pg.Pool({ connectionString: database.url, max: 4 });
  application.on('error', () => {});
  // On a machine with other work, appliers that fall behind for good would leave nothing to validate.
  const bounded = {
    async connect() {
      await eventually(async () => {
        const { rows } = await database.pool.query('SELECT count(*)::int AS messages FROM lockstep.in_flight');
        return rows[0].messages < mostInFlight;
      });
      return application.connect();
    },
  };
  const suspected = { scopes: 0 };
  const telemetry = {
    log() {},
    measure: (metric: string, value: number) => {
      if (metric === 'validate_scopes_suspected') suspected.scopes += value;
    },
  };
  const verdicts: Record<string, number> = {};
  const errors: unknown[] = [];
  try {
    await using traffic = startTraffic({
      pool: bounded,
      transactionsPerSecond: 40,
      onError: (error) => errors.push(error),
    });
    const endMs = Date.now() + seconds * 1_000;
    const enough = () =>
      suspected.scopes > 3 && (verdicts.agrees ?? 0) > 0 && traffic.counts.transactions > seconds * 5;
    while (Date.now() < endMs || (!enough() && Date.now() < endMs + 100_000)) {
      const report = await sync.validate({ telemetry, firstChunkScopes: 100 });
      verdicts[report.verdict] = (verdicts[report.verdict] ?? 0) + 1;
      expect(report.targets.flatMap(({ drift }) => drift)).toEqual([]);
      expect(report.checks.filter(({ outcome }) => outcome === 'fail')).toEqual([]);
      expect(report.verdict).not.toBe('differs');
    }
    expect(traffic.counts.transactions).toBeGreaterThan(seconds * 5);
  } finally {
    await application.end();
  }
  expect(errors).toEqual([]);
  // Had nothing been in flight whenever the validator looked, this would prove nothing.
  expect(suspected.scopes).toBeGreaterThan(3);
  expect(verdicts.agrees).toBeGreaterThan(0);
  await sync.caughtUp();
  expect(await sync.validate()).toMatchObject({ agrees: true });
});
