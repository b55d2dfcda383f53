import { expect, test } from 'vitest';
import {
  folded,
  mostEvents,
  type Observed,
  observedEvents,
  rememberedEvent,
  withEvents,
} from '../../dashboard/events.ts';
import type { PageEvent } from '../../dashboard/model.ts';
import { type Counters, ratesOf, withReading } from '../../dashboard/rates.ts';
import { nextOf, stationsOf, verdictOf } from '../../dashboard/verdict.ts';
import { paceOf, paceOfRun } from '../../engine/backfill/progress.ts';
import type { BackfillProgress } from '../../engine/backfill/record.ts';
import type { Status } from '../../engine/status/status.ts';

const nowMs = Date.parse('2026-11-25T02:00:00Z');
const slot = { name: 's', active: true, walStatus: 'reserved' } as NonNullable<Status['slot']>;
const agreed = {
  startedAt: '',
  secondsAgo: 60,
  verdict: 'agrees',
  rowsDrifted: 0,
  whole: true,
  samplePercent: null,
} as const;
const done = { finishedAt: '2026-11-25 01:59:00+00', targetFinishedAt: '2026-11-25 01:59:00+00' };

function target(changes: Partial<BackfillProgress> = {}): BackfillProgress {
  return {
    id: 'b',
    reason: 'first start',
    requestedAt: '2026-11-25 01:59:00+00',
    finishedAt: null,
    paused: false,
    target: 'media_files',
    scopesDone: 250,
    scopesEstimated: 1000,
    rowsWritten: 250,
    startedAt: '2026-11-25 01:59:00+00',
    targetFinishedAt: null,
    ...changes,
  };
}

/** Everything is in step, but for the changes. */
function status(changes: Partial<Status> = {}): Status {
  const well = { phase: 'forward', findings: [], lag: { bytes: 0, seconds: 0.1 }, quarantine: [], validation: agreed };
  return { ...well, backfill: [target(done)], slot, ...changes } as unknown as Status;
}

const quarantine = [{ target: 'media_files', sqlState: '22001', scopes: 3, message: 'value too long' }];
const attention = { level: 'attention', text: '3 scopes are in quarantine. Mend their data.' } as const;
const broken = {
  level: 'broken',
  text: 'No listener is connected to the slot s, and WAL piles up. Start `lockstep listen`.',
} as const;

test('what is broken is said before what goes on, and that before what someone should look at', () => {
  const worst = status({ findings: [attention, broken], backfill: [target()], quarantine });
  expect(verdictOf(worst, nowMs)).toEqual({
    level: 'broken',
    title: 'No listener is connected to the slot s, and WAL piles up',
    text: 'Start `lockstep listen`.',
  });
  const filling = status({ findings: [attention], backfill: [target()], quarantine });
  expect(verdictOf(filling, nowMs)).toMatchObject({ level: 'working', title: 'Backfill running, 25 % done' });
  expect(verdictOf(filling, nowMs).text).toMatch(/^About 3 min left, at 4 scopes a second/);
  expect(verdictOf(status({ findings: [attention], quarantine }), nowMs)).toMatchObject({
    level: 'attention',
    title: 'In step, but for 3 scopes in quarantine',
  });
  expect(verdictOf(status(), nowMs)).toMatchObject({ level: 'well', title: 'In step' });
});

test('a lag that people notice, drift and a paused backfill are no "in step"', () => {
  expect(verdictOf(status({ lag: { bytes: 0, seconds: 42 } }), nowMs)).toMatchObject({
    level: 'working',
    title: 'Catching up, 42 s behind',
  });
  const differs = { ...agreed, verdict: 'differs', rowsDrifted: 2 } as const;
  expect(verdictOf(status({ validation: differs }), nowMs)).toMatchObject({
    level: 'attention',
    title: '2 rows had drifted',
  });
  const paused = status({ backfill: [target({ paused: true })] });
  expect(verdictOf(paused, nowMs)).toMatchObject({ level: 'attention', title: 'Backfill paused, 25 % done' });
  expect(verdictOf(status({ validation: null }), nowMs).text).toMatch(/never been validated/);
  const some = status({ validation: { ...agreed, whole: false } });
  expect(verdictOf(some, nowMs).text).toMatch(/Every row of some targets agreed/);
});

test('what comes next is one command, and follows from what is', () => {
  const commandOf = (changes: Partial<Status>) => nextOf(status(changes)).command;
  expect(commandOf({ slot: null })).toBe('lockstep listen');
  expect(commandOf({ backfill: [target()] })).toBe('lockstep backfill --status');
  expect(commandOf({ quarantine })).toBe('lockstep retry');
  expect(commandOf({ validation: { ...agreed, verdict: 'differs' } })).toBe('lockstep validate --repair');
  expect(commandOf({ validation: null })).toBe('lockstep validate');
  expect(commandOf({ validation: { ...agreed, samplePercent: 5 } })).toBe('lockstep validate');
  expect(commandOf({ validation: { ...agreed, whole: false } })).toBe('lockstep validate');
  expect(commandOf({ findings: [broken] })).toBeNull();
  expect(nextOf({ ...status(), armed: true }).command).toBe('lockstep cutover --dry-run');
  expect(nextOf(status({ phase: 'reverse' })).text).toMatch(/rollback can still bring it back/);
  // After the first cutover the way back has had no backfill.
  expect(nextOf(status({ phase: 'reverse', backfill: [] })).text).toMatch(/rollback can still bring it back/);
  expect(commandOf({ phase: 'forward', backfill: [] })).toBe('lockstep backfill --status');
});

test('where on its way a migration is', () => {
  const current = (changes: Partial<Status>) =>
    stationsOf(status(changes)).find(({ state }) => state === 'current')?.name;
  expect(current({ slot: null })).toBe('Capture');
  expect(current({ backfill: [target()] })).toBe('Backfill');
  expect(current({})).toBe('Forward');
  expect(current({ phase: 'reverse' })).toBe('Reverse');
  expect(current({ phase: 'complete' })).toBe('Complete');
});

test('a backfill reaches its end only when it has', () => {
  expect(paceOf(target({ scopesDone: 5000 }), nowMs)).toMatchObject({ share: 0.99 });
  expect(paceOf(target(done), nowMs)).toEqual({ share: 1, scopesPerSecond: undefined, secondsLeft: undefined });
  expect(paceOf(target({ startedAt: null, scopesDone: 0 }), nowMs).secondsLeft).toBeUndefined();
  // What was estimated too low counts as what it was.
  const run = [target({ ...done, finishedAt: null, scopesDone: 3000 }), target({ scopesDone: 0, startedAt: null })];
  expect(paceOfRun(run, nowMs)).toMatchObject({ share: 0.75, scopesPerSecond: 50, secondsLeft: 20 });
});

const counters = (atMs: number, rows: number): Counters => ({
  atMs,
  sourceRows: rows,
  targetRows: 2 * rows,
  walPosition: 0n,
});

test('rates are over ten seconds, and unknown where counters went back', () => {
  let readings: Counters[] = [];
  expect(ratesOf(withReading(readings, counters(0, 0)))).toMatchObject({ sourceRowsPerSecond: null });
  for (let second = 0; second <= 20; second += 2)
    readings = withReading(readings, counters(second * 1000, second < 10 ? 0 : second * 10));
  // From 10 s on: the 100 rows of before are no longer in it.
  expect(readings[0]?.atMs).toBe(10_000);
  expect(ratesOf(readings)).toEqual({ sourceRowsPerSecond: 10, targetRowsPerSecond: 20, walBytesPerSecond: 0 });
  expect(ratesOf(withReading(readings, counters(22_000, 0)))).toMatchObject({ sourceRowsPerSecond: null });
});

test('what happened between two readings: the slot, quarantine by target, a pause', () => {
  const before: Observed = { ...status(), atMs: 1 };
  const textsOf = (changes: Partial<Status>) =>
    observedEvents(before, { ...status(changes), atMs: 2 }).map(({ text }) => text);
  expect(textsOf({})).toEqual([]);
  expect(textsOf({ slot: { ...slot, active: false } })).toEqual(['The listener left the slot']);
  expect(textsOf({ slot: { ...slot, walStatus: 'lost' } })).toEqual(['The slot was lost']);
  expect(textsOf({ slot: null })).toEqual(['The slot s is gone']);
  expect(textsOf({ quarantine })).toEqual(['3 scopes of media_files went into quarantine']);
  expect(
    observedEvents({ ...status({ quarantine }), atMs: 1 }, { ...before, atMs: 2 }).map(({ text }) => text),
  ).toEqual(['3 scopes of media_files left quarantine']);
  expect(textsOf({ backfill: [target({ paused: true })] })).toEqual(['The backfill was paused']);
});

const event = (id: string, atMs: number, text = id): PageEvent => ({ id, atMs, level: 'working', text });

test('how long a cutover made writers wait is told', () => {
  const change = { id: 'x', atMs: 1, kind: 'phase change', detail: 'cutover,reverse,312.4' } as const;
  expect(rememberedEvent(change).text).toBe('The cutover turned the phase to reverse; writers waited 312 ms');
});

test('an event is kept once, the newest first; what repeats itself is told once', () => {
  const known = withEvents([event('a', 1)], [event('b', 3), event('a', 1), event('c', 2)]);
  expect(known.map(({ id }) => id)).toEqual(['b', 'c', 'a']);
  const many = Array.from({ length: mostEvents + 5 }, (_, index) => event(`${index}`, index));
  expect(withEvents([], many)).toHaveLength(mostEvents);
  const retries = [50, 40, 20].map((seconds) => event(`${seconds}`, seconds * 1000, 'again'));
  expect(folded([...retries, event('old', -100_000, 'again')]).map(({ text }) => text)).toEqual([
    'again, 3 times in 30 s',
    'again',
  ]);
});
