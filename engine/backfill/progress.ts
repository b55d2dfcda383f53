import type { BackfillProgress } from './record.ts';

export interface Pace {
  /** Of the scopes, 0 to 1; an estimate, so that it reaches 1 only when the target is finished. */
  readonly share: number;
  /** Undefined while nothing is done. */
  readonly scopesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
}

/** How far one target's backfill is, how fast, and how long it takes from here at that rate. */
export function paceOf(target: BackfillProgress, nowMs: number): Pace {
  if (target.targetFinishedAt !== null) return { share: 1, scopesPerSecond: undefined, secondsLeft: undefined };
  const share = Math.min(0.99, target.scopesDone / Math.max(1, target.scopesEstimated));
  if (target.startedAt === null || target.scopesDone === 0) {
    return { share, scopesPerSecond: undefined, secondsLeft: undefined };
  }
  const seconds = Math.max(0.001, (nowMs - Date.parse(target.startedAt)) / 1000);
  return {
    share,
    scopesPerSecond: target.scopesDone / seconds,
    secondsLeft: (seconds * (1 - share)) / Math.max(0.01, share),
  };
}

/** The same of a whole run: its targets are done one after the other. */
export function paceOfRun(targets: readonly BackfillProgress[], nowMs: number): Pace {
  const sum = (of: (target: BackfillProgress) => number) => targets.reduce((total, target) => total + of(target), 0);
  const begun = targets.flatMap(({ startedAt }) => (startedAt === null ? [] : [Date.parse(startedAt)]));
  const done = sum(({ scopesDone }) => scopesDone);
  // What is finished had as many scopes as it had, whatever was estimated.
  const all = sum((target) =>
    target.targetFinishedAt === null ? Math.max(target.scopesDone, target.scopesEstimated) : target.scopesDone,
  );
  const finished = targets.every(({ targetFinishedAt }) => targetFinishedAt !== null);
  const share = finished ? 1 : Math.min(0.99, done / Math.max(1, all));
  if (finished || begun.length === 0 || done === 0)
    return { share, scopesPerSecond: undefined, secondsLeft: undefined };
  const seconds = Math.max(0.001, (nowMs - Math.min(...begun)) / 1000);
  return { share, scopesPerSecond: done / seconds, secondsLeft: (seconds * (all - done)) / done };
}
