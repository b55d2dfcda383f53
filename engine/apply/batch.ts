import type { Arrival, MergeResult, Withheld } from '../merge/merge.ts';
import { distinctScopes, type ScopeRef, scopeIdentity } from '../merge/scopes.ts';

/** Scopes that one transaction merges. */
export interface Batch {
  /** Undefined: not resolved yet. */
  readonly scopes: readonly ScopeRef[] | undefined;
  /** How often the batch was made larger, because its scopes turned out to hang together with others. */
  readonly extensions: number;
  /** What is to be merged are the scopes that keep rows of these, which an earlier transaction has put into quarantine. */
  readonly keepersOf?: readonly ScopeRef[];
}

export const unresolved: Batch = { scopes: undefined, extensions: 0 };

/**
 * A row under another scope, or a missing parent, appears in the first attempt; a second extension is only needed when
 * the application moved something in between. What hangs together after that is put into quarantine, where it is tried
 * again: the other scope may be one that is refused, so that nothing else would ever bring the row over.
 */
const maxExtensions = 3;

const foreignKeyViolation = '23503';
const conflictStates = new Set(['23505', '23P01']);

/** Whether another row is in the way of this one. */
export function isConflict(sqlState: string | undefined): boolean {
  return conflictStates.has(sqlState ?? '');
}

export type AfterRefusal =
  /** Derive it again: a foreign key fails when a parent was deleted a moment ago. */
  | 'repeat'
  /** Something of another scope stands in the way: find it, and merge both together. */
  | 'extend by unique value'
  | 'extend by reference'
  | 'quarantine';

/**
 * What to do with a single scope whose data the server refuses.
 *
 * @param refusals how often it has been refused alone, this time included.
 */
export function afterRefusal(sqlState: string, refusals: number, extensions: number): AfterRefusal {
  if (sqlState === foreignKeyViolation && refusals === 1) return 'repeat';
  if (extensions > 0) return 'quarantine';
  if (sqlState === foreignKeyViolation) return 'extend by reference';
  return isConflict(sqlState) ? 'extend by unique value' : 'quarantine';
}

/** Scopes that hang together, to be merged in one transaction of their own. */
export function together(scopes: readonly ScopeRef[], extensions: number): Batch {
  return { scopes: distinctScopes(scopes), extensions };
}

/**
 * The scopes into which a merge put rows although their own events are not what it handles (their source rows' locks
 * are not held): another source has revealed them, or they are neighbours of those that are handled. Such a row may have
 * been changed meanwhile, by an event that did not find it: the target did not show it there yet. Merged once more after
 * the commit, the scope is what that change made of it; changes after the commit do find it.
 *
 * @param handled by source name, the keys whose locks are held, as `keyIdentity` writes them.
 */
export function toRepeat(arrivals: readonly Arrival[], handled: ReadonlyMap<string, ReadonlySet<string>>): ScopeRef[] {
  return arrivals.filter(
    ({ target, key }) => !(target.keyedBy ?? []).some((source) => handled.get(source)?.has(keyIdentity(key))),
  );
}

export function keyIdentity(key: readonly (string | null)[]): string {
  return key.join('\0');
}

export interface FollowUp {
  readonly batches: readonly Batch[];
  /** Rows that stay away until their parent comes; their scopes go into quarantine. */
  readonly waiting: readonly Withheld[];
  /**
   * Scopes that could not be merged together with the one that holds their row, however often it was tried: that one is
   * refused. They go into quarantine as well, for no event of theirs is to come.
   */
  readonly stranded: readonly ScopeRef[];
}

/**
 * What a merge leaves to be done: scopes that must be merged together, and parents that must be merged first.
 *
 * @param apart something was refused: what does not hang together is not merged together, so that what is at fault holds up
 * no others.
 */
export function followUps(
  { extensions }: Batch,
  result: Pick<MergeResult, 'strays' | 'withheld'>,
  apart: boolean,
): FollowUp {
  const mayExtend = extensions < maxExtensions;
  const groups = [...result.strays];
  const waiting: Withheld[] = [];
  for (const withheld of result.withheld) {
    if (mayExtend && withheld.parentScope) groups.push([withheld.parentScope, withheld]);
    else waiting.push(withheld);
  }
  if (!mayExtend) return { batches: [], waiting, stranded: distinctScopes(result.strays.flat()) };
  const batches = apart ? components(groups) : groups.length > 0 ? [groups.flat()] : [];
  return { batches: batches.map((scopes) => together(scopes, extensions + 1)), waiting, stranded: [] };
}

/** Groups of scopes, those that share one put together. */
export function components(groups: readonly (readonly ScopeRef[])[]): ScopeRef[][] {
  const parents = new Map<string, string>();
  const root = (identity: string): string => {
    let at = identity;
    for (let up = parents.get(at) ?? at; up !== at; up = parents.get(at) ?? at) at = up;
    return at;
  };
  for (const [first, ...others] of groups) {
    if (!first) continue;
    for (const other of others) parents.set(root(scopeIdentity(other)), root(scopeIdentity(first)));
  }
  return [...Map.groupBy(groups.flat(), (ref) => root(scopeIdentity(ref))).values()];
}
