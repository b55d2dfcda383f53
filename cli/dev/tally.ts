import { createHistogram } from 'node:perf_hooks';

/** What the listener and the appliers of this run have measured. */
export interface Tally {
  add(metric: string, value: number): void;
  /** Sum of a metric that counts. */
  sum(metric: string): number;
  /** Milliseconds from commit to applied that so many percent of the messages did not exceed; undefined without any. */
  lagMs(percentile: number): number | undefined;
}

const lagMetric = 'apply_lag_ms';

export function createTally(): Tally {
  const sums = new Map<string, number>();
  // Of microseconds: it holds whole numbers from 1 on.
  const lags = createHistogram();
  return {
    add(metric, value) {
      if (metric === lagMetric) lags.record(Math.max(1, Math.round(value * 1000)));
      else sums.set(metric, (sums.get(metric) ?? 0) + value);
    },
    sum: (metric) => sums.get(metric) ?? 0,
    lagMs: (percentile) => (lags.count === 0 ? undefined : lags.percentile(percentile) / 1000),
  };
}
