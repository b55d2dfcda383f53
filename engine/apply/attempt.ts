import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { connectionLost, withConnection } from '../connection.ts';
import type { Failpoints } from '../failpoint.ts';
import { strikeOut } from '../ledger/strike.ts';
import { inLockOrder, targetLock } from '../locks.ts';
import type { MergeResult } from '../merge/merge.ts';
import { distinctScopes, type ScopeRef, scopeLocks } from '../merge/scopes.ts';
import { beginFenced, commitUnawaited, takeLocks } from '../merge/transaction.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { keepersOf, lodgersOf } from '../quarantine/lodgers.ts';
import { noteUnfinished, putIntoQuarantine, releaseFromQuarantine } from '../quarantine/quarantine.ts';
import { remedyFor } from '../sqlstate.ts';
import type { Batch } from './batch.ts';
import type { ApplyLimits } from './limits.ts';
import { mergeNarrowing, type Narrowed, savepoint } from './narrow.ts';
import { remaining } from './remaining.ts';
import { resolveScopes } from './resolve.ts';
import { handledKeys, rowLocks, type Slice } from './slices.ts';

export interface AttemptContext {
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly limits: ApplyLimits;
  readonly failpoints: Failpoints;
  readonly clock: Clock;
  /**
   * Set for work without rows that is begun again from where it was when it is interrupted, so that a merge which has to
   * be repeated will be. (A message is delivered again; a retry or a repair is not.)
   */
  readonly resumes?: boolean;
}

export type AttemptOutcome =
  /** The other direction is the truth: nothing was written. */
  | { readonly kind: 'fenced' }
  /** The rows could not even be turned into scopes: a key that is not of its type. */
  | { readonly kind: 'unreadable'; readonly error: Error }
  | Committed;

/** `batches` remain; when there are none and it was the last, the ledger's entries are struck out. */
export interface Committed {
  readonly kind: 'committed';
  readonly batches: readonly Batch[];
  readonly result: MergeResult;
  readonly scopes: number;
  readonly quarantined: number;
  readonly lagsMs: readonly number[];
}

/**
 * Ledger entries that are finished when a piece of work is, struck out in the same transaction. `later`: a further
 * transaction of the same messages strikes them out, so that this one need not be waited for.
 */
export type Strike = readonly string[] | 'later';

/**
 * One transaction of the protocol: fence, rows, resolve, lock, derive, write, commit.
 *
 * @param looked scopes whose keepers this work has looked for, by `scopeIdentity`.
 * @throws errors that ask for a retry or a stop; the transaction is rolled back then.
 */
export async function attempt(
  context: AttemptContext,
  slice: Slice,
  batch: Batch,
  strike: Strike,
  looked: ReadonlySet<string>,
): Promise<AttemptOutcome> {
  const { loaded, limits, failpoints } = context;
  return withConnection(context.pool, async (client): Promise<AttemptOutcome> => {
    const { tooMany, shared, tables } = lockingOf(context, slice, batch);
    const active = await beginFenced(client, loaded.name, tables, rowLocks(loaded, slice));
    if (!active) {
      await client.query('ROLLBACK');
      return { kind: 'fenced' };
    }

    const all = await scopesOf(client, loaded, slice, batch);
    if ('kind' in all) return all;
    await failpoints('apply.scopes-resolved');
    const size = isWhole(batch) ? all.length : limits.scopesPerTransaction;
    const scopes = all.slice(0, size);
    const rest = all.slice(size);
    const locks = tooMany ? [] : inLockOrder(scopeLocks(loaded.name, scopes));
    await takeLocks(client, locks, savepoint);
    await failpoints('apply.scopes-locked');

    const narrowed = await mergeNarrowing(client, loaded, scopes, batch.extensions, context.clock);
    const refused = narrowed.quarantined.map(([ref]) => ref);
    const lodgers = await lodgersOf(client, loaded, narrowed.result.moved);
    // Nobody else merges these targets, so that what keeps rows of the refused scopes need not be merged to be found.
    if (!shared) lodgers.push(...(await keepersOf(client, refused)));
    const handled = shared ? handledKeys(slice) : undefined;
    const left = remaining(batch, narrowed, { rest, handled, lodgers, looked });
    const { batches, quarantined } = left;
    const now = batches.length === 0 ? strike : unfinished(strike);
    const { lagsMs, anyQuarantined } = await strikeOut(client, loaded.name, idsOf(now));
    if (anyQuarantined)
      await releaseFromQuarantine(client, loaded.name, narrowed.merged, stillIn(narrowed, quarantined));
    for (const [ref, reason] of quarantined) await putIntoQuarantine(client, loaded.name, ref, reason);
    await noteUnfinished(client, loaded.name, left.unfinished);
    await failpoints('apply.before-commit');
    await commit(client, now);
    await failpoints('apply.committed');
    return {
      kind: 'committed',
      batches,
      result: narrowed.result,
      scopes: narrowed.merged.length,
      quarantined: quarantined.length,
      lagsMs,
    };
  });
}

/** What is struck out by a transaction after which others of the same work follow. */
export function unfinished(strike: Strike): Strike {
  return strike === 'later' || strike.length > 0 ? 'later' : [];
}

const idsOf = (strike: Strike): readonly string[] => (strike === 'later' ? [] : strike);

async function commit(client: pg.ClientBase, strike: Strike): Promise<void> {
  if (strike === 'later') await commitUnawaited(client);
  else await client.query('COMMIT');
}

/** How a batch locks its targets: shared with other merges, or exclusively. */
function lockingOf({ loaded, limits, resumes }: AttemptContext, slice: Slice, batch: Batch) {
  // More than the server's lock table has room for are merged under their targets' locks, which stand for all scopes.
  const tooMany = isWhole(batch) && (batch.scopes?.length ?? 0) > limits.scopesPerTransaction;
  // A retry or a repair cannot count on being repeated, so nobody else may merge these targets meanwhile.
  const shared = !tooMany && (slice.rows.size > 0 || resumes === true);
  const locks = inLockOrder(targetsOf(loaded, slice, batch).map((target) => targetLock(loaded.name, target)));
  return { tooMany, shared, tables: shared ? { shared: locks } : { exclusive: locks } };
}

/** Scopes that were put together because they hang together are not cut apart again, however many they are. */
function isWhole({ extensions }: Batch): boolean {
  return extensions > 0;
}

/**
 * A scope with a withheld row stays in quarantine, if it is there, until its parent has come; one with a stray, or that still
 * holds a row of another, until it has been merged together with that other scope.
 */
function stillIn({ result }: Narrowed, quarantined: readonly (readonly [ScopeRef, unknown])[]): ScopeRef[] {
  return [...quarantined.map(([ref]) => ref), ...result.withheld, ...result.strays.flat(), ...result.moved];
}

/** What a batch is to merge. */
async function scopesOf(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  slice: Slice,
  batch: Batch,
): Promise<readonly ScopeRef[] | { readonly kind: 'unreadable'; readonly error: Error }> {
  if (batch.keepersOf) return distinctScopes(await keepersOf(client, batch.keepersOf));
  return batch.scopes ?? (await orUnreadable(client, () => resolveScopes(client, loaded, slice.rows)));
}

/** No savepoint: when a key is not of its type, nothing of the transaction is of use. */
async function orUnreadable(
  client: pg.ClientBase,
  resolve: () => Promise<ScopeRef[]>,
): Promise<ScopeRef[] | { readonly kind: 'unreadable'; readonly error: Error }> {
  try {
    return await resolve();
  } catch (error) {
    if (remedyFor(error, connectionLost(client)) !== 'data') throw error;
    await client.query('ROLLBACK');
    return { kind: 'unreadable', error: error as Error };
  }
}

/** Names of the targets that a batch may write: those of its scopes, or all that read a source of its rows. */
function targetsOf(loaded: LoadedDirection, slice: Slice, batch: Batch): string[] {
  const refs = batch.keepersOf ?? batch.scopes;
  if (refs) return [...new Set(refs.map((ref) => ref.target.name))];
  const sources = [...slice.rows.keys()].map(({ name }) => name);
  return loaded.targets.filter(({ scopesOf }) => sources.some((name) => name in scopesOf)).map(({ name }) => name);
}
