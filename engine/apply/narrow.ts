import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { connectionLost } from '../connection.ts';
import { conflictingScopes, referringScopes } from '../merge/conflicts.ts';
import { emptyResult, type MergeResult, mergeScopes, type OfMoved } from '../merge/merge.ts';
import { type ScopeRef, scopeIdentity } from '../merge/scopes.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { type Reason, reasonOf } from '../quarantine/quarantine.ts';
import { remedyFor, sqlState } from '../sqlstate.ts';
import { type AfterRefusal, afterRefusal, type Batch, isConflict, together } from './batch.ts';

export interface Narrowed {
  /** What was written of the scopes that could be merged. */
  readonly result: MergeResult;
  readonly merged: readonly ScopeRef[];
  readonly quarantined: readonly [ScopeRef, Reason][];
  /** Scopes that must be merged together with others. */
  readonly extended: readonly Batch[];
  /** What the server said when all were merged together; undefined when nothing. */
  readonly refusal: Error | undefined;
  /** Not tried any more, because the transaction has been open for long enough. */
  readonly left: readonly ScopeRef[];
}

/** A transaction that is looking for the rows at fault commits what it has after this, and another goes on. */
const longestSearchMs = 300;

/** Opens the savepoint in which `orRefused` works. */
export const savepoint = 'SAVEPOINT lockstep_merge; SET CONSTRAINTS ALL DEFERRED';

/**
 * Runs `work` inside a savepoint (`opened`: which is there already). When the server refuses its data, it is undone and the transaction (with its locks)
 * can go on.
 *
 * @throws every other error.
 */
export async function orRefused<T>(
  client: pg.ClientBase,
  work: () => Promise<T>,
  opened = false,
): Promise<{ readonly value: T } | { readonly refused: Error }> {
  if (!opened) await client.query(savepoint);
  try {
    const value = await work();
    // Constraints that were put off are checked here, where a violation can still be told from other failures.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT lockstep_merge');
    return { value };
  } catch (error) {
    if (remedyFor(error, connectionLost(client)) !== 'data') throw error;
    await client.query('ROLLBACK TO SAVEPOINT lockstep_merge; RELEASE SAVEPOINT lockstep_merge');
    return { refused: error as Error };
  }
}

/**
 * Merges scopes whose locks are held, in a savepoint that is open (`savepoint`); when the server refuses them, halves them until the ones at fault stand alone.
 * The rest is merged.
 */
export async function mergeNarrowing(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  scopes: readonly ScopeRef[],
  extensions: number,
  clock: Clock,
): Promise<Narrowed> {
  const result = emptyResult();
  const merged: ScopeRef[] = [];
  const quarantined: [ScopeRef, Reason][] = [];
  const extended: Batch[] = [];
  const refusals = new Map<string, number>();
  const startedMs = clock.nowMs();
  const pieces: (readonly ScopeRef[])[] = [scopes];
  let opened = true;
  let ofMoved: OfMoved = 'left';
  let refusal: Error | undefined;
  for (let piece = pieces.shift(); piece; piece = pieces.shift()) {
    if (merged.length + quarantined.length > 0 && clock.nowMs() - startedMs > longestSearchMs) {
      return { result, merged, quarantined, extended, refusal, left: [piece, ...pieces].flat() };
    }
    const { outcome, inTheirWay } = await mergePiece(client, loaded, piece, ofMoved, opened);
    opened = false;
    if (inTheirWay) {
      ofMoved = 'deleted';
      pieces.unshift(piece);
      continue;
    }
    if ('value' in outcome) {
      add(result, outcome.value);
      merged.push(...piece);
      continue;
    }
    refusal ??= outcome.refused;
    const alone = piece[0];
    if (piece.length > 1 || !alone) {
      const half = Math.ceil(piece.length / 2);
      pieces.unshift(piece.slice(0, half), piece.slice(half));
      continue;
    }
    const times = (refusals.get(scopeIdentity(alone)) ?? 0) + 1;
    refusals.set(scopeIdentity(alone), times);
    const next = afterRefusal(sqlState(outcome.refused) ?? '', times, extensions);
    const inTheWay = await scopesInTheWay(client, loaded, alone, next);
    if (next === 'repeat') pieces.unshift(piece);
    else if (inTheWay.length > 0) extended.push(together([alone, ...inTheWay], extensions + 1));
    else quarantined.push([alone, reasonOf(outcome.refused)]);
  }
  return { result, merged, quarantined, extended, refusal, left: [] };
}

/** `inTheirWay`: rows that have moved were left, and hold what has taken their place; without them it may be merged. */
async function mergePiece(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  scopes: readonly ScopeRef[],
  ofMoved: OfMoved,
  opened: boolean,
) {
  let anyMoved = false;
  const work = async () => {
    const merged = await mergeScopes(client, loaded, scopes, ofMoved);
    anyMoved = merged.moved.length > 0;
    return merged;
  };
  const outcome = await orRefused(client, work, opened);
  return { outcome, inTheirWay: anyMoved && 'refused' in outcome && isConflict(sqlState(outcome.refused)) };
}

async function scopesInTheWay(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  alone: ScopeRef,
  next: AfterRefusal,
): Promise<ScopeRef[]> {
  if (next === 'extend by reference') return referringScopes(client, loaded, alone);
  return next === 'extend by unique value' ? conflictingScopes(client, alone) : [];
}

function add(sum: MergeResult, more: MergeResult): void {
  sum.inserted += more.inserted;
  sum.updated += more.updated;
  sum.deleted += more.deleted;
  sum.arrivals.push(...more.arrivals);
  sum.strays.push(...more.strays);
  sum.moved.push(...more.moved);
  sum.withheld.push(...more.withheld);
  sum.lodgers.push(...more.lodgers);
  sum.following.push(...more.following);
}
