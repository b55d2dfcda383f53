import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { isConnectionLost, withConnection } from '../connection.ts';
import { inLockOrder, targetLock } from '../locks.ts';
import { extentOfScopes } from '../merge/predicate.ts';
import { scopeLocks } from '../merge/scopes.ts';
import { beginMerge, passFence, takeLocks } from '../merge/transaction.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { remedyFor } from '../sqlstate.ts';
import { raiseBarrier, waitUntilApplied } from '../wait/barrier.ts';
import { type Difference, findDifferences } from './compare.ts';

export interface ProofContext {
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** How long merges of these scopes may be made to wait. */
  readonly holdMs: number;
}

export type Proof =
  /** These differences are drift: no change exists that would explain them. Empty: the scopes agree. */
  | { readonly kind: 'proved'; readonly differences: readonly Difference[] }
  /** A change that is still on its way may explain the difference, or the locks were not to be had. */
  | { readonly kind: 'not yet' }
  /** The other direction is the truth now. */
  | { readonly kind: 'fenced' };

/**
 * Finds out whether scopes that differ have drifted, or wait for a change that is on its way.
 *
 * The scopes' locks are taken, those that every merge takes; then view and target are compared, and then a barrier is
 * awaited while the locks are held. A change that would explain a difference was visible to the comparison, so it
 * committed before it and lies below the barrier; and its message, which must lead to a merge of that scope, cannot
 * have been finished, since the merge would have had to hold one of our locks. So when nothing is in flight below the
 * barrier, there is no such change.
 *
 * Looking at the row twice and finding it unchanged would not do: a value that changes to and fro under traffic looks
 * the same each time while its change is in flight.
 */
export async function prove(
  context: ProofContext,
  target: LoadedTarget,
  scopes: readonly (readonly string[])[],
): Promise<Proof> {
  const { pool, loaded } = context;
  const locks = inLockOrder(
    scopeLocks(
      loaded.name,
      scopes.map((scope) => ({ target, scope })),
    ),
  );
  try {
    return await withConnection(pool, async (client): Promise<Proof> => {
      await beginMerge(client, loaded.name, { shared: [targetLock(loaded.name, target.name)] });
      const active = await passFence(client, loaded.name, []);
      if (active) await takeLocks(client, locks);
      const proof = active ? await compareAndWait(context, client, target, scopes) : ({ kind: 'fenced' } as const);
      await client.query('ROLLBACK');
      return proof;
    });
  } catch (error) {
    if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
    return { kind: 'not yet' };
  }
}

async function compareAndWait(
  { pool, loaded, clock, signal, holdMs }: ProofContext,
  client: pg.ClientBase,
  target: LoadedTarget,
  scopes: readonly (readonly string[])[],
): Promise<Proof> {
  const differences = await findDifferences(client, loaded.name, target, extentOfScopes(target, scopes));
  if (differences.length === 0) return { kind: 'proved', differences };
  // From another connection: what a barrier commits must not wait for the end of this transaction.
  const lsn = await raiseBarrier(pool);
  const barrier = { db: pool, direction: loaded.name, timeoutMs: holdMs, clock, ...(signal && { signal }) };
  const { applied } = await waitUntilApplied(barrier, lsn);
  return applied ? { kind: 'proved', differences } : { kind: 'not yet' };
}
