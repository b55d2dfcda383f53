import { expect, test } from 'vitest';
import { estimateBackfill, estimateSqs } from '../../engine/plan/estimate.ts';
import { megabytes, type PreflightRequest, preflight } from '../../engine/plan/preflight.ts';
import type { PlanServer } from '../../engine/plan/server.ts';

const good: PlanServer = {
  version: 18,
  database: 'app',
  user: 'owner',
  inRecovery: false,
  settings: {
    wal_level: 'logical',
    max_slot_wal_keep_size: '20GB',
    max_replication_slots: '10',
    max_wal_senders: '10',
    max_connections: '100',
    max_locks_per_transaction: '128',
    max_prepared_transactions: '0',
    deadlock_timeout: '1s',
    server_version_num: '180001',
  },
  slots: { used: 0, free: 10 },
  senders: { used: 0, free: 10 },
  connections: { used: 10, free: 87 },
  mayReplicate: true,
  mayCreateSchema: true,
  longTransactions: [],
  preparedTransactions: [],
};
const request: PreflightRequest = { concurrency: 8, connections: 23, hasSlot: false };

test('a server that is ready has no finding', () => {
  expect(preflight(good, request)).toEqual([]);
});

const settings = (changed: Partial<PlanServer['settings']>) => ({ settings: { ...good.settings, ...changed } });

const bad: [string, 'blocker' | 'warning', Partial<PlanServer>][] = [
  ['server', 'blocker', { version: 14 }],
  ['server', 'blocker', { inRecovery: true }],
  ['wal_level', 'blocker', settings({ wal_level: 'replica' })],
  ['max_replication_slots', 'blocker', { slots: { used: 10, free: 0 } }],
  ['max_wal_senders', 'blocker', { senders: { used: 10, free: 0 } }],
  ['max_wal_senders', 'warning', { senders: { used: 9, free: 1 } }],
  ['max_slot_wal_keep_size', 'warning', settings({ max_slot_wal_keep_size: '-1' })],
  ['max_slot_wal_keep_size', 'warning', settings({ max_slot_wal_keep_size: '512MB' })],
  ['long transactions', 'warning', { longTransactions: ['process 1 (report, user a), open for 01:00:00'] }],
  ['long transactions', 'warning', { preparedTransactions: ['"x" of a, prepared 1 day ago'] }],
  ['REPLICATION', 'warning', { mayReplicate: false }],
  ['CREATE', 'warning', { mayCreateSchema: false }],
  ['max_locks_per_transaction', 'blocker', settings({ max_locks_per_transaction: '10' })],
  ['max_connections', 'warning', { connections: { used: 90, free: 7 } }],
  ['deadlock_timeout', 'warning', settings({ deadlock_timeout: '200ms' })],
];

test.each(bad)('%s: a %s with a fix (%j)', (about, level, changed) => {
  const found = preflight({ ...good, ...changed }, request);
  expect(found).toEqual([{ level, about, found: expect.stringMatching(/.{10}/), fix: expect.stringMatching(/.{10}/) }]);
});

test('what only a first start needs is not asked again once there is a slot', () => {
  const busy = { ...good, slots: { used: 10, free: 0 }, senders: { used: 10, free: 0 }, longTransactions: ['x'] };
  expect(preflight(busy, { ...request, hasSlot: true })).toEqual([]);
});

test('sizes as the server prints them', () => {
  expect(['-1', '512MB', '2GB', '1TB', '2048kB', '64'].map(megabytes)).toEqual([-1, 512, 2048, 1024 ** 2, 2, 64]);
});

test('ten times the scopes take ten times as long', () => {
  const sample = { target: 't', scopes: 1000, sampledScopes: 100, sampledRows: 250, sampledMs: 20 };
  expect(estimateBackfill(sample, 5)).toEqual({ target: 't', scopes: 1000, rows: 2500, seconds: 1 });
  expect(estimateBackfill({ ...sample, scopes: 10_000 }, 5).seconds).toBe(10);
  expect(estimateBackfill({ ...sample, scopes: 0, sampledScopes: 0 }, 5).seconds).toBe(0);
});

test('the cost of the queue is what its arithmetic says', () => {
  const table = { name: 's', table: 'public.s', rows: 1, counted: true, bytes: 1, changesPerDay: 1_000_000 };
  const price = { perMillionRequests: 0.5, source: 'a page' };
  const { requestsPerDayAtMost, dollarsPerMonthAtMost, requestsPerMillionInBulk } = estimateSqs([table], price);
  expect(requestsPerDayAtMost).toBe(3_000_000 + 21_600);
  expect(dollarsPerMonthAtMost).toBeCloseTo((3_021_600 * 30 * 0.5) / 1e6);
  expect(requestsPerMillionInBulk).toBeLessThan(1000);
  expect(estimateSqs([{ ...table, changesPerDay: null }], price)).toMatchObject({
    changesPerDay: null,
    dollarsPerMonthAtMost: null,
  });
});
