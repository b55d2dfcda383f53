/** Counters at one moment; two of them give rates. */
export interface Counters {
  readonly atMs: number;
  readonly sourceRows: number;
  readonly targetRows: number;
  readonly walPosition: bigint;
}

/**
 * The server's counters are brought up to date by each of its processes about once a second, so that the difference
 * over a second says little.
 */
export const rateWindowMs = 10_000;

export interface Rates {
  readonly sourceRowsPerSecond: number | null;
  readonly targetRowsPerSecond: number | null;
  readonly walBytesPerSecond: number | null;
}

/** Adds a reading and forgets what is older than the window, but for the one reading that the window begins after. */
export function withReading(readings: readonly Counters[], now: Counters): Counters[] {
  const all = [...readings, now];
  const first = all.findLastIndex(({ atMs }) => atMs <= now.atMs - rateWindowMs);
  return all.slice(Math.max(0, first));
}

/** Per second, over the readings; null with fewer than two, and where a counter went back (statistics were reset). */
export function ratesOf(readings: readonly Counters[]): Rates {
  const [first, last] = [readings[0], readings.at(-1)];
  if (!first || !last || last.atMs <= first.atMs) {
    return { sourceRowsPerSecond: null, targetRowsPerSecond: null, walBytesPerSecond: null };
  }
  const seconds = (last.atMs - first.atMs) / 1000;
  const perSecond = (difference: number) => (difference < 0 ? null : difference / seconds);
  return {
    sourceRowsPerSecond: perSecond(last.sourceRows - first.sourceRows),
    targetRowsPerSecond: perSecond(last.targetRows - first.targetRows),
    walBytesPerSecond: perSecond(Number(last.walPosition - first.walPosition)),
  };
}
