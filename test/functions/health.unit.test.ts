import { describe, expect, test } from 'vitest';
import type { Status } from '../../engine/status/status.ts';
import type { Facts } from '../../functions/health/facts.ts';
import { type Look, lookOf, metricsOf } from '../../functions/health/metrics.ts';
import { queryP95Ms } from '../../functions/health/response-time.ts';
import { statusMetrics as names } from '../../infra/contract.ts';

const nowMs = Date.parse('2026-11-23T12:00:00Z');
const minute = 60_000;
const slot = {
  name: 'lockstep',
  active: true,
  walStatus: 'reserved',
  confirmedLsn: '0/100',
  retainedBytes: 500,
  unconfirmedBytes: 100,
  safeWalBytes: null,
  invalidationReason: null,
  secondsUntilLost: null,
} as const;
const status: Status = {
  phase: 'forward',
  armed: false,
  direction: 'forward',
  lag: { bytes: 100, seconds: 0 },
  slot,
  listener: { seenSecondsAgo: 2 },
  inFlight: { messages: 0, keys: 0, oldestLsn: null, oldestAgeSeconds: 0 },
  backfill: [],
  quarantine: [],
  validation: null,
  findings: [],
};
const facts: Facts = { phaseForMs: 10 * minute, validation: undefined, checks: [] };
const metrics = (
  change: Partial<Status>,
  more: { before?: Look; facts?: Partial<Facts>; queryP95Ms?: number } = {},
): Record<string, number> =>
  metricsOf({
    status: { ...status, ...change },
    facts: { ...facts, ...more.facts },
    nowMs,
    before: more.before,
    queryP95Ms: more.queryP95Ms,
  });

describe('the listener', () => {
  const before: Look = { atMs: nowMs - minute, confirmed: { lsn: '0/100', sinceMs: nowMs - 7 * minute } };

  test('that was seen a moment ago is not stalled', () => {
    expect(metrics({})[names.listenerStalled]).toBe(0);
  });

  test('is stalled since it was last seen, or, if it never ran, since it could have', () => {
    expect(metrics({ listener: { seenSecondsAgo: 90 } })[names.listenerStalled]).toBe(90_000);
    expect(metrics({ listener: null, slot: null })[names.listenerStalled]).toBe(10 * minute);
  });

  test('that lives but confirms nothing is stalled since the position stands still', () => {
    expect(metrics({}, { before })[names.listenerStalled]).toBe(7 * minute);
  });

  test('may stand still when there is nothing to confirm, and has moved when the position has', () => {
    expect(metrics({ slot: { ...slot, unconfirmedBytes: 0 } }, { before })[names.listenerStalled]).toBe(0);
    expect(metrics({ slot: { ...slot, confirmedLsn: '0/200' } }, { before })[names.listenerStalled]).toBe(0);
  });

  test('the look that is kept remembers since when the position is where it is', () => {
    expect(lookOf({ status, nowMs, before }).confirmed).toEqual(before.confirmed);
    const moved = { ...status, slot: { ...slot, confirmedLsn: '0/200' } };
    expect(lookOf({ status: moved, nowMs, before }).confirmed).toEqual({ lsn: '0/200', sinceMs: nowMs });
  });
});

describe('the slot', () => {
  test('without a limit is never lost: no figure', () => {
    expect(metrics({})).not.toHaveProperty(names.slotLostIn);
  });

  test('with a limit is lost when the rate of writes says so', () => {
    expect(metrics({ slot: { ...slot, secondsUntilLost: 30 } })[names.slotLostIn]).toBe(30_000);
  });

  test('that is lost, or was there and is gone, is lost now', () => {
    expect(metrics({ slot: { ...slot, walStatus: 'lost' } })[names.slotLostIn]).toBe(0);
    expect(metrics({ slot: null })[names.slotLostIn]).toBe(0);
    expect(metrics({ slot: null, listener: null })).not.toHaveProperty(names.slotLostIn);
  });
});

test('a backfill under way has an age and, once something is done, an end', () => {
  const target = {
    id: 'run',
    reason: 'first start',
    requestedAt: '2026-11-23T11:00:00Z',
    finishedAt: null,
    paused: false,
    target: 'media_files',
    scopesDone: 25,
    scopesEstimated: 100,
    rowsWritten: 25,
    startedAt: null,
    targetFinishedAt: null,
  };
  const hour = 60 * minute;
  expect(metrics({ backfill: [target] })).toMatchObject({
    [names.backfillAge]: hour,
    [names.backfillProjected]: 4 * hour,
  });
  expect(metrics({ backfill: [{ ...target, scopesDone: 0 }] })).not.toHaveProperty(names.backfillProjected);
  const ended = { ...target, finishedAt: '2026-11-23T11:30:00Z' };
  expect(metrics({ backfill: [ended] })).not.toHaveProperty(names.backfillAge);
});

test('a validation is overdue since the last one began, or since there could have been one', () => {
  expect(metrics({})[names.validationAge]).toBe(10 * minute);
  const validation = { startedAgoMs: minute, agrees: false, driftedRows: 3 };
  expect(metrics({}, { facts: { validation } })).toMatchObject({
    [names.validationAge]: minute,
    [names.validationDiffers]: 1,
    [names.driftedRows]: 3,
  });
});

test('counts are published by how much they differ; a rule is no count', () => {
  const check = { level: 'counts', name: 'media_migration', outcome: 'pass', values: { difference: '0' } } as const;
  const published = (...checks: Facts['checks']) => metrics({}, { facts: { checks } }).check_media_migration_difference;
  expect(published(check)).toBe(0);
  expect(published({ ...check, outcome: 'fail', values: { difference: '-7' } })).toBe(7);
  // A check that fails without saying by how much still fails.
  expect(published({ ...check, outcome: 'fail', values: {} })).toBe(1);
  expect(published({ ...check, level: 'rules' })).toBeUndefined();
});

describe('the 95th percentile of response times', () => {
  const at = (...entries: [id: string, calls: number, totalMs: number][]) =>
    new Map(entries.map(([id, calls, totalMs]) => [id, { calls, totalMs }]));

  test('counts calls since the last look, each with its statement’s mean', () => {
    const before = at(['fast', 1000, 1000], ['slow', 10, 9000]);
    expect(queryP95Ms(before, at(['fast', 1096, 1096], ['slow', 14, 13_000]))).toBe(1);
    expect(queryP95Ms(before, at(['fast', 1094, 1094], ['slow', 16, 15_000]))).toBe(1000);
  });

  test('takes counters that were reset for what they say, and nothing for nothing', () => {
    expect(queryP95Ms(at(['one', 1000, 1000]), at(['one', 2, 80]))).toBe(40);
    expect(queryP95Ms(at(['one', 5, 5]), at(['one', 5, 5]))).toBeUndefined();
  });
});
