import type pg from 'pg';
import { orRefused } from '../apply/narrow.ts';
import { withConnection } from '../connection.ts';
import type { Failpoints } from '../failpoint.ts';
import { targetLock } from '../locks.ts';
import { emptyResult, type MergeResult, mergeExtent, mergeScopes } from '../merge/merge.ts';
import { type Extent, extentOfRange } from '../merge/predicate.ts';
import { distinctScopes, type ScopeRef, scopeIdentity, targetNamed } from '../merge/scopes.ts';
import { fillSql } from '../merge/statements.ts';
import { beginMerge, commitUnawaited, passFence } from '../merge/transaction.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { lodgersOf } from '../quarantine/lodgers.ts';
import {
  leftOver,
  noteUnfinished,
  putIntoQuarantine,
  releaseFromQuarantine,
  releaseRange,
} from '../quarantine/quarantine.ts';
import { sqlState } from '../sqlstate.ts';
import { scopesOfRangeSql, upperBoundSql } from './bounds.ts';

export interface ChunkContext {
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly failpoints: Failpoints;
}

export interface Chunk {
  readonly target: LoadedTarget;
  readonly after: string[] | null;
  /** Null: to the end. */
  readonly upTo: string[] | null;
  readonly scopes: number;
}

export type ChunkOutcome =
  | { readonly kind: 'fenced' | 'paused' | 'finished' | 'gone' }
  | {
      readonly kind: 'merged';
      readonly chunk: Chunk;
      readonly result: MergeResult;
      /** The target was empty there, and yet refused some of its rows. */
      readonly fillRefused: boolean;
    }
  /** The chunk holds rows that the target refuses; nothing was written, and the cursor stays. */
  | { readonly kind: 'refused'; readonly chunk: Chunk; readonly error: Error };

interface Position {
  target: string;
  cursor: string[] | null;
  pass: 'merge' | 'delete';
}

/**
 * Where the run stands. Targets are merged in dependency order; those in which a doomed row was still referred to are
 * gone through once more in the opposite order, when the rows that referred to it are gone.
 */
const positionSql = `
  SELECT target, cursor, CASE WHEN finished_at IS NULL THEN 'merge' ELSE 'delete' END AS pass
  FROM lockstep.backfill_target
  WHERE backfill_id = $1 AND (finished_at IS NULL OR doomed_left)
  ORDER BY finished_at IS NOT NULL, CASE WHEN finished_at IS NULL THEN ordinal ELSE -ordinal END
  LIMIT 1`;
/**
 * The run's row is what workers take turns on. (Not the target's: whoever waited for that would find it finished, and
 * nothing in its place, and take the run for finished.)
 */
const runSql = 'SELECT paused FROM lockstep.backfill WHERE id = $1 AND finished_at IS NULL FOR UPDATE';
const advanceSql = `
  UPDATE lockstep.backfill_target
  SET cursor = CASE WHEN $4 THEN NULL ELSE $3::text[] END,
      started_at = coalesce(started_at, clock_timestamp()),
      finished_at = CASE WHEN finished_at IS NULL AND $4 THEN clock_timestamp() ELSE finished_at END,
      doomed_left = CASE WHEN $7 THEN doomed_left AND NOT $4 OR $8 ELSE doomed_left OR $8 END,
      -- The last chunk is smaller than what was asked for; how much smaller nobody has counted.
      scopes_done = CASE WHEN $7 THEN scopes_done WHEN $4 THEN least(scopes_done + $5, greatest(scopes_done, scopes_estimated))
                    ELSE scopes_done + $5 END,
      rows_written = rows_written + $6
  WHERE backfill_id = $1 AND target = $2
    AND cursor IS NOT DISTINCT FROM $9::text[] AND (finished_at IS NOT NULL) = $7`;

/**
 * Records that everything up to the end of `chunk` is done, unless another worker has gone on from where it begins.
 */
export async function advance(
  client: pg.ClientBase,
  runId: string,
  chunk: Chunk,
  result: MergeResult,
  pass: 'merge' | 'delete',
  doomedLeft: boolean,
): Promise<void> {
  const written = result.inserted + result.updated + result.deleted;
  await client.query(advanceSql, [
    runId,
    chunk.target.name,
    chunk.upTo,
    chunk.upTo === null,
    chunk.scopes,
    written,
    pass === 'delete',
    doomedLeft,
    chunk.after,
  ]);
}

async function nextChunk(
  client: pg.ClientBase,
  target: LoadedTarget,
  after: string[] | null,
  scopes: number,
): Promise<Chunk> {
  const { rows } = await client.query<{ scope: string[] }>(upperBoundSql(target, after === null), [
    scopes,
    ...(after ?? []),
  ]);
  return { target, after, upTo: rows[0]?.scope ?? null, scopes };
}

function addResult(sum: MergeResult, more: MergeResult, together: readonly ScopeRef[]): void {
  sum.inserted += more.inserted;
  sum.updated += more.updated;
  sum.deleted += more.deleted;
  sum.withheld.push(...more.withheld);
  sum.moved.push(...more.moved);
  sum.following.push(...more.following);
  // What lodged in the chunk for want of a scope outside it has been merged together with that scope by now.
  const merged = new Set(together.map(scopeIdentity));
  sum.lodgers = [...sum.lodgers.filter((ref) => !merged.has(scopeIdentity(ref))), ...more.lodgers];
}

/** Scopes outside a chunk that were merged with it, and those that still hang together with others that were not. */
interface Outside {
  readonly together: readonly ScopeRef[];
  readonly stranded: readonly ScopeRef[];
}

/** A row under another scope appears in the first; a further one is needed when that scope holds a row of a third, and so on. */
const mostStrayMerges = 4;

/**
 * Merges scopes outside a chunk in which the target holds rows of the chunk: the lock covers all scopes, so those that hang
 * together are merged together now.
 */
async function mergeStrays(client: pg.ClientBase, loaded: LoadedDirection, result: MergeResult): Promise<Outside> {
  let together: ScopeRef[] = [];
  let strays: readonly ScopeRef[] = result.strays.flat();
  for (let merges = 0; strays.length > 0 && merges < mostStrayMerges; merges += 1) {
    together = distinctScopes([...together, ...strays]);
    const more = await mergeScopes(client, loaded, together);
    addResult(result, more, together);
    strays = more.strays.flat();
  }
  return { together, stranded: distinctScopes(strays) };
}

/**
 * A range in which the target holds nothing is written by a plain INSERT: there is nothing to compare, and whether parents
 * are there the foreign keys say at half the cost. 'occupied': there is something, or nothing to write; 'refused': a row
 * cannot be written as it is. In both cases nothing has been, and `mergeExtent` finds out which.
 */
async function fill(
  client: pg.ClientBase,
  target: LoadedTarget,
  extent: Extent,
): Promise<MergeResult | 'occupied' | 'refused'> {
  const query = { text: fillSql(target, extent), values: [...extent.parameters] };
  const outcome = await orRefused(client, async () => (await client.query(query)).rowCount ?? 0);
  if ('refused' in outcome) return 'refused';
  if (outcome.value > 0) return { ...emptyResult(), inserted: outcome.value };
  // They are checked at once by now; a merge may need its second half before they hold.
  await client.query('SET CONSTRAINTS ALL DEFERRED');
  return 'occupied';
}

/** How a chunk is to be merged, by target. */
export interface ChunkPace {
  /** About how many scopes. */
  readonly scopes: (target: string) => number;
  /** Whether to try a plain INSERT first. */
  readonly mayFill: (target: string) => boolean;
}

/**
 * Merges the next chunk of a run under its target's exclusive lock, and records its cursor in the same transaction.
 * Two workers on one run take turns.
 */
export async function mergeNextChunk(
  context: ChunkContext,
  runId: string,
  pace: ChunkPace,
): Promise<ChunkOutcome & { pass: 'merge' | 'delete' }> {
  const { loaded, failpoints } = context;
  let chunk: Chunk | undefined;
  let pass: 'merge' | 'delete' = 'merge';
  try {
    return await withConnection(context.pool, async (client) => {
      await beginMerge(client, loaded.name, {});
      const end = async (kind: 'fenced' | 'paused' | 'finished' | 'gone') => {
        await client.query('ROLLBACK');
        return { kind, pass };
      };
      const run = await client.query<{ paused: boolean }>(runSql, [runId]);
      if (!run.rows[0]) return end('gone');
      if (run.rows[0].paused) return end('paused');
      const position = (await client.query<Position>(positionSql, [runId])).rows[0];
      if (!position) return end('finished');
      pass = position.pass;
      const target = targetNamed(loaded, position.target);
      const active = await passFence(client, loaded.name, [targetLock(loaded.name, target.name)]);
      if (!active) return end('fenced');
      chunk = await nextChunk(client, target, position.cursor, pace.scopes(target.name));
      const extent = extentOfRange(target, chunk.after, chunk.upTo);
      const mayLeaveDoomed = (error: unknown) => pass === 'merge' && sqlState(error) === '23503';
      const tries = pass === 'merge' && target.writes === 'rows' && pace.mayFill(target.name);
      const filled = tries ? await fill(client, target, extent) : 'occupied';
      const { leftDoomed, ...result } =
        typeof filled === 'object'
          ? { ...filled, leftDoomed: false }
          : await mergeExtent(client, loaded, target, extent, mayLeaveDoomed);
      const outside = await mergeStrays(client, loaded, result);
      await client.query('SET CONSTRAINTS ALL IMMEDIATE');
      const lodgers = [...result.lodgers, ...(await lodgersOf(client, loaded, result.moved))];
      const left = leftOver(lodgers, result.withheld, outside.stranded);
      const still = [...left.map(([ref]) => ref), ...result.moved];
      await releaseRange(
        client,
        loaded.name,
        target,
        extent,
        still.filter((ref) => ref.target === target).map((ref) => ref.scope),
      );
      await releaseFromQuarantine(client, loaded.name, outside.together, still);
      for (const [ref, reason] of left) await putIntoQuarantine(client, loaded.name, ref, reason);
      await noteUnfinished(client, loaded.name, distinctScopes(result.following));
      await advance(client, runId, chunk, result, pass, leftDoomed);
      await failpoints('backfill.before-commit');
      // Lost in a crash, it is lost with its cursor; the run's end is durable, and with it every chunk.
      await commitUnawaited(client);
      await failpoints('backfill.committed');
      return { kind: 'merged' as const, chunk, result, fillRefused: filled === 'refused', pass };
    });
  } catch (error) {
    if (chunk && /^2[23]/.test(sqlState(error) ?? '')) return { kind: 'refused', chunk, error: error as Error, pass };
    throw error;
  }
}

/** All scopes of a chunk, to be merged one by one or in small groups. */
export async function scopesOfChunk(
  pool: pg.Pool,
  direction: DirectionName,
  { target, after, upTo }: Chunk,
): Promise<ScopeRef[]> {
  const extent = extentOfRange(target, after, upTo);
  const { rows } = await pool.query<{ scope: string[] }>(scopesOfRangeSql(target, extent), [
    ...extent.parameters,
    direction,
    target.name,
  ]);
  return rows.map(({ scope }) => ({ target, scope }));
}
