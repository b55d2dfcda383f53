import type { PastEvent } from '../engine/status/history.ts';
import type { Status } from '../engine/status/status.ts';
import type { Level, PageEvent } from './model.ts';
import { durationText, plural } from './text.ts';

/** What two readings are compared by, to tell what has happened between them. */
export type Observed = Pick<Status, 'phase' | 'slot' | 'backfill' | 'quarantine' | 'findings'> & {
  readonly atMs: number;
};

/** An event that the engine's tables remember, in words. */
export function rememberedEvent({ id, atMs, kind, detail }: PastEvent): PageEvent {
  const [level, text] = wordsOf(kind, detail);
  return { id, atMs, level, text };
}

function wordsOf(kind: PastEvent['kind'], detail: string): [Level, string] {
  switch (kind) {
    case 'slot created':
      return ['working', `The slot ${detail} was made: changes are kept from here on`];
    case 'listener started':
      return ['working', detail === '1' ? 'The listener started' : `A listener took the slot (start ${detail})`];
    case 'phase change':
      return phaseWords(detail);
    case 'backfill requested':
      return ['working', `A backfill was asked for (${detail})`];
    case 'backfill finished':
      return ['well', `The backfill finished (${detail})`];
    case 'validation':
      return validationWords(detail);
  }
}

function phaseWords(detail: string): [Level, string] {
  const [change = '', phase = '', pauseMs] = detail.split(',');
  const waited = pauseMs === undefined ? '' : `; writers waited ${Math.round(Number(pauseMs))} ms`;
  return ['well', `The ${change} turned the phase to ${phase}${waited}`];
}

function validationWords(verdict: string): [Level, string] {
  if (verdict === '') return ['working', 'A validation began'];
  if (verdict === 'agrees') return ['well', 'Validation: every target agrees'];
  return verdict === 'differs'
    ? ['attention', 'Validation: rows have drifted']
    : ['attention', 'Validation: not everything could be proved'];
}

/** What has happened between two readings that no table remembers. */
export function observedEvents(before: Observed, now: Observed): PageEvent[] {
  const { atMs } = now;
  const events: [Level, string][] = [...slotEvents(before, now), ...quarantineEvents(before, now)];
  const wasPaused = before.backfill.some(({ paused, finishedAt }) => paused && finishedAt === null);
  const isPaused = now.backfill.some(({ paused, finishedAt }) => paused && finishedAt === null);
  if (isPaused && !wasPaused) events.push(['attention', 'The backfill was paused']);
  if (wasPaused && !isPaused) events.push(['working', 'The backfill goes on']);
  return events.map(([level, text]) => ({ id: `${atMs}:${text}`, atMs, level, text }));
}

function slotEvents(before: Observed, now: Observed): [Level, string][] {
  if (!before.slot || before.slot.name !== now.slot?.name) {
    return before.slot && !now.slot ? [['broken', `The slot ${before.slot.name} is gone`]] : [];
  }
  if (before.slot.walStatus !== 'lost' && now.slot.walStatus === 'lost') return [['broken', 'The slot was lost']];
  if (before.slot.active && !now.slot.active) return [['broken', 'The listener left the slot']];
  if (!before.slot.active && now.slot.active) return [['well', 'The slot is read again']];
  return [];
}

function quarantineEvents(before: Observed, now: Observed): [Level, string][] {
  const events: [Level, string][] = [];
  const scopesOf = ({ quarantine }: Observed, target: string) =>
    quarantine.filter((group) => group.target === target).reduce((sum, { scopes }) => sum + scopes, 0);
  const targets = new Set([...before.quarantine, ...now.quarantine].map(({ target }) => target));
  for (const target of [...targets].sort()) {
    const change = scopesOf(now, target) - scopesOf(before, target);
    if (change > 0) events.push(['attention', `${plural(change, 'scope')} of ${target} went into quarantine`]);
    if (change < 0) events.push(['well', `${plural(-change, 'scope')} of ${target} left quarantine`]);
  }
  return events;
}

/** How many of the newest are kept. */
export const mostEvents = 100;
const repeatedWithinMs = 60_000;

/** Adds events to those that are known, the newest first. What repeats itself within a minute is told once, with a count. */
export function withEvents(known: readonly PageEvent[], added: readonly PageEvent[]): PageEvent[] {
  const byId = new Map(known.map((event) => [event.id, event]));
  for (const event of added) if (!byId.has(event.id)) byId.set(event.id, event);
  const sorted = [...byId.values()].sort((a, b) => b.atMs - a.atMs);
  return sorted.slice(0, mostEvents);
}

/** The same events with repetitions folded into the newest of them. */
export function folded(events: readonly PageEvent[]): PageEvent[] {
  const shown: { event: PageEvent; times: number; sinceMs: number }[] = [];
  for (const event of events) {
    const same = shown.find(
      ({ event: other, sinceMs }) => other.text === event.text && sinceMs - event.atMs < repeatedWithinMs,
    );
    if (same) {
      same.times += 1;
      same.sinceMs = event.atMs;
    } else shown.push({ event, times: 1, sinceMs: event.atMs });
  }
  return shown.map(({ event, times, sinceMs }) => {
    if (times === 1) return event;
    const span = durationText((event.atMs - sinceMs) / 1000);
    return { ...event, text: `${event.text}, ${times} times in ${span}` };
  });
}
