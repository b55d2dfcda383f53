import { type ScopeRef, scopeIdentity } from '../merge/scopes.ts';
import { leftOver, type Reason } from '../quarantine/quarantine.ts';
import { type Batch, followUps, together, toRepeat } from './batch.ts';
import type { Narrowed } from './narrow.ts';

export interface Remaining {
  /** What is to be merged by further transactions. */
  readonly batches: readonly Batch[];
  /** What goes into quarantine with this one. */
  readonly quarantined: readonly [ScopeRef, Reason][];
}

/**
 * What a transaction leaves to others, and to quarantine.
 *
 * @param rest scopes that it did not begin with.
 * @param handled by source name, the keys of the rows whose locks it holds; undefined when no one else can be merging.
 */
export function remaining(
  batch: Batch,
  narrowed: Narrowed,
  rest: readonly ScopeRef[],
  handled: ReadonlyMap<string, ReadonlySet<string>> | undefined,
): Remaining {
  const { result, quarantined, extended, left } = narrowed;
  const follow = followUps(batch, result);
  const batches = [...follow.batches, ...extended];
  const untried = [...left, ...rest];
  if (untried.length > 0) batches.push({ ...batch, scopes: untried });
  const repeat = handled ? toRepeat(result.arrivals, handled) : [];
  if (repeat.length > 0) batches.push(together(repeat, batch.extensions));
  return {
    batches,
    quarantined: [...quarantined, ...leftOver(result, follow.waiting, strandedBy(follow.stranded, quarantined))],
  };
}

/** Those that are not refused themselves; why those are says more. */
function strandedBy(stranded: readonly ScopeRef[], refused: readonly [ScopeRef, Reason][]): ScopeRef[] {
  const known = new Set(refused.map(([ref]) => scopeIdentity(ref)));
  return stranded.filter((ref) => !known.has(scopeIdentity(ref)));
}
