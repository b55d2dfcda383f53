import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Side } from '../events.ts';

export type Outcome = 'agreed' | 'differed' | 'unsettled' | 'dropped' | 'failed';

export const countSql = `
  INSERT INTO lockstep_app.shadow_reads AS s (method, hour, agreed, differed, unsettled, dropped, failed)
  VALUES ($1, date_trunc('hour', now()), $2, $3, $4, $5, $6)
  ON CONFLICT (method, hour) DO UPDATE SET agreed = s.agreed + excluded.agreed, differed = s.differed + excluded.differed,
    unsettled = s.unsettled + excluded.unsettled, dropped = s.dropped + excluded.dropped, failed = s.failed + excluded.failed`;
export const differenceSql = `
  INSERT INTO lockstep_app.shadow_differences AS d (method, arguments, truth_side, truth, other)
  VALUES ($1, $2::jsonb, $3, $4::jsonb, $5::jsonb)
  ON CONFLICT (method, arguments) DO UPDATE SET truth_side = excluded.truth_side, truth = excluded.truth,
    other = excluded.other, times = d.times + 1, last_seen_at = clock_timestamp()`;

export interface Tally {
  count(method: string, outcome: Outcome): void;
  difference(
    of: { readonly method: string; readonly arguments: readonly unknown[]; readonly truth: Side },
    truth: unknown,
    other: unknown,
  ): Promise<void>;
  /** Writes the counts. Those that could not be written are kept for the next time. */
  flush(): Promise<void>;
}

type Counts = Record<Outcome, number>;

const flushEveryMs = 1000;

/** Counts in memory, and in lockstep_app.shadow_reads from time to time. */
export function createTally(pool: pg.Pool, clock: Clock): Tally {
  const counts = new Map<string, Counts>();
  let flushedAtMs = clock.nowMs();
  const flush = async () => {
    flushedAtMs = clock.nowMs();
    for (const [method, { agreed, differed, unsettled, dropped, failed }] of [...counts]) {
      await pool.query(countSql, [method, agreed, differed, unsettled, dropped, failed]);
      subtract(counts, method, { agreed, differed, unsettled, dropped, failed });
    }
  };
  return {
    count(method, outcome) {
      const of = counts.get(method) ?? { agreed: 0, differed: 0, unsettled: 0, dropped: 0, failed: 0 };
      of[outcome] += 1;
      counts.set(method, of);
    },
    async difference({ method, arguments: args, truth: side }, truth, other) {
      await pool.query(differenceSql, [method, JSON.stringify(args), side, text(truth), text(other)]);
      if (clock.nowMs() - flushedAtMs >= flushEveryMs) await flush();
    },
    flush,
  };
}

/** More may have been counted meanwhile. */
function subtract(counts: Map<string, Counts>, method: string, written: Counts): void {
  const now = counts.get(method);
  if (!now) return;
  for (const outcome of Object.keys(written) as Outcome[]) now[outcome] -= written[outcome];
  if (Object.values(now).every((count) => count === 0)) counts.delete(method);
}

const text = (value: unknown): string => JSON.stringify(value ?? null);
