import { isConnectionLost } from '../connection.ts';
import type { MergeCounts } from '../merge/merge.ts';
import { scopeIdentity } from '../merge/scopes.ts';
import { remedyFor } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';
import { type AttemptContext, attempt, type Committed, type Strike, unfinished } from './attempt.ts';
import { type Batch, unresolved } from './batch.ts';
import type { Slice } from './slices.ts';

export interface WorkContext extends AttemptContext {
  readonly telemetry: Telemetry;
}

export interface WorkCounts extends MergeCounts {
  transactions: number;
  scopes: number;
  quarantined: number;
}

export type WorkOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'unreadable'; readonly error: Error }
  /** The deadline came first. What was committed stays; repeating it changes nothing. */
  | { readonly kind: 'out of time'; readonly error?: Error };

const firstPauseMs = 20;
const longestPauseMs = 1_000;

/** How long to wait before the nth repetition (from 1): doubling, with jitter so that rivals part. `random`: 0 to 1. */
export function retryPauseMs(repetition: number, random: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(repetition, 12)) * (0.5 + random / 2);
}

export function noCounts(): WorkCounts {
  return { transactions: 0, scopes: 0, quarantined: 0, inserted: 0, updated: 0, deleted: 0 };
}

/**
 * Does all that a slice asks for, in as many transactions as it takes: scopes at fault are narrowed down, what hangs
 * together is merged together, what is locked or interrupted is tried again until `deadlineMs` (epoch).
 *
 * @param first scopes to merge when they are known already; else they are resolved from the slice's rows.
 * @throws errors for which `remedyFor` says `stop`.
 */
export async function doWork(
  context: WorkContext,
  slice: Slice,
  strike: Strike,
  deadlineMs: number,
  counts: WorkCounts,
  first: Batch = unresolved,
): Promise<WorkOutcome> {
  const { clock } = context;
  const pending: Batch[] = [first];
  const looked = new Set<string>();
  let repetition = 0;
  for (let batch = pending.shift(); batch; batch = pending.shift()) {
    if (clock.nowMs() >= deadlineMs) return { kind: 'out of time' };
    try {
      const outcome = await attempt(context, slice, batch, pending.length === 0 ? strike : unfinished(strike), looked);
      repetition = 0;
      if (outcome.kind !== 'committed') return outcome;
      pending.unshift(...outcome.batches);
      for (const ref of outcome.batches.flatMap(({ keepersOf = [] }) => keepersOf)) looked.add(scopeIdentity(ref));
      tellOf(outcome, counts, context.telemetry);
    } catch (error) {
      if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
      repetition += 1;
      const waitMs = retryPauseMs(repetition, Math.random());
      if (clock.nowMs() + waitMs >= deadlineMs) return { kind: 'out of time', error: error as Error };
      pending.unshift(batch);
      await clock.pauseMs(waitMs);
    }
  }
  return { kind: 'done' };
}

function tellOf(outcome: Committed, counts: WorkCounts, telemetry: Telemetry): void {
  counts.transactions += 1;
  counts.scopes += outcome.scopes;
  counts.quarantined += outcome.quarantined;
  counts.inserted += outcome.result.inserted;
  counts.updated += outcome.result.updated;
  counts.deleted += outcome.result.deleted;
  for (const lagMs of outcome.lagsMs) telemetry.measure('apply_lag_ms', lagMs);
  if (outcome.quarantined > 0) telemetry.log('warn', 'scopes quarantined', { count: outcome.quarantined });
}
