import type pg from 'pg';
import type { LoadedDirection, LoadedTarget, ParentKey } from '../migration/load.ts';
import { followingScopes } from './conflicts.ts';
import { type Moved, withoutMoved } from './moved.ts';
import { type Extent, extentOfScopes } from './predicate.ts';
import { byTarget, type ScopeRef, scopeIdentity, targetNamed } from './scopes.ts';
import { anyDifferenceSql, deleteQuery, type MergeRow, mergeSql } from './statements.ts';
import { prepared } from './transaction.ts';

/** A scope that was merged except for rows whose parent row is not in its target. */
export interface Withheld extends ScopeRef {
  readonly parent: ParentKey;
  /** Of the foreign key's columns. */
  readonly values: readonly string[];
  /** Set when the parent is a target and the values name its scope, so that merging it may bring the parent. */
  readonly parentScope: ScopeRef | undefined;
}

export interface MergeCounts {
  inserted: number;
  updated: number;
  deleted: number;
}

/** A row that was put into a scope where the target did not have it: inserted, or moved there. */
export interface Arrival extends ScopeRef {
  readonly key: readonly string[];
}

export interface MergeResult extends MergeCounts {
  arrivals: Arrival[];
  /** Scopes that hold the same row in view and target, but were not merged together; empty in the common case. */
  strays: (readonly ScopeRef[])[];
  /** Rows that were left in these scopes, and that the view has elsewhere: their own event merges both scopes. */
  moved: Moved[];
  withheld: Withheld[];
  /** Scopes in which a row had to stay that belongs to another scope. */
  lodgers: ScopeRef[];
  /** Scopes that were not merged, and lose or change rows because a row that these refer to was deleted. */
  following: ScopeRef[];
}

/**
 * What becomes of a row that the view lacks in the scopes merged and has in another one. Left, it is moved in place by its
 * own event. Deleted, it is inserted again by that, without the columns that the view does not have.
 */
export type OfMoved = 'left' | 'deleted';

interface Doomed {
  target: LoadedTarget;
  extent: Extent;
  keys: string[][];
}

/** What is the same for a target each time is built once: statements over scopes, by the function that builds them. */
const kept = new WeakMap<LoadedTarget, Map<BuildSql, ReturnType<typeof prepared>>>();
type BuildSql = (target: LoadedTarget, extent: Extent) => string;

function statement(build: BuildSql, target: LoadedTarget, extent: Extent): { text: string; name?: string } {
  // A range is large enough to be planned for what it is.
  if (extent.shape !== 'scopes') return { text: build(target, extent) };
  const ofTarget = kept.get(target) ?? new Map<BuildSql, ReturnType<typeof prepared>>();
  kept.set(target, ofTarget);
  const known = ofTarget.get(build) ?? prepared(build(target, extent));
  ofTarget.set(build, known);
  return known;
}

async function upsert(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
  extent: Extent,
  result: MergeResult,
  ofMoved: OfMoved,
): Promise<string[][]> {
  if (target.writes === 'columns') {
    const query = statement(anyDifferenceSql, target, extent);
    const { rows } = await client.query<{ differs: boolean }>({ ...query, values: [...extent.parameters] });
    if (rows[0]?.differs === false) return [];
  }
  const query = statement(mergeSql, target, extent);
  const { rows } = await client.query<MergeRow>({ ...query, values: [...extent.parameters] });
  const row = rows[0];
  if (!row) throw new Error(`merge of ${target.name} answered nothing`);
  result.inserted += Number(row.inserted);
  result.updated += Number(row.updated);
  for (const { key, scope } of row.arrivals ?? []) result.arrivals.push({ target, scope, key });
  // What someone else has written meanwhile is seen by the next statement: a row inserted, as a stray; one deleted, as absent.
  for (const scope of row.conflicts ?? []) result.strays.push([{ target, scope }]);
  for (const scopes of row.strays ?? []) result.strays.push(scopes.map((scope) => ({ target, scope })));
  for (const scope of row.lodgers ?? []) result.lodgers.push({ target, scope });
  for (const { scope, parent, values } of row.withheld ?? []) {
    const parentKey = target.parents[parent];
    if (!parentKey) throw new Error(`merge of ${target.name} named an unknown parent key`);
    const parentScope =
      parentKey.target && parentKey.namesScope
        ? { target: targetNamed(loaded, parentKey.target), scope: values }
        : undefined;
    result.withheld.push({ target, scope, parent: parentKey, values, parentScope });
  }
  return await doomedOf(client, loaded, target, row.doomed ?? [], result, ofMoved);
}

/** Keys of the rows that are to be deleted, of those that the view lacks here. */
async function doomedOf(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
  unexpected: string[][],
  result: MergeResult,
  ofMoved: OfMoved,
): Promise<string[][]> {
  if (ofMoved === 'deleted' || target.scopeIsKey || unexpected.length === 0) return unexpected;
  const { doomed, moved } = await withoutMoved(client, loaded, target, unexpected);
  result.moved.push(...moved);
  return doomed;
}

/**
 * Deletes rows that the view lacks. Children first: a parent goes when nothing refers to it any more, of what was merged here.
 *
 * @param merged identities of the scopes merged.
 */
async function deleteDoomed(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  doomed: readonly Doomed[],
  merged: ReadonlySet<string>,
  result: MergeResult,
): Promise<void> {
  for (const { target, extent, keys } of [...doomed].reverse()) {
    const following = await followingScopes(client, loaded, target, keys);
    result.following.push(...following.filter((ref) => !merged.has(scopeIdentity(ref))));
    result.deleted += (await client.query(deleteQuery(target, extent, keys))).rowCount ?? 0;
  }
}

export function emptyResult(): MergeResult {
  return {
    inserted: 0,
    updated: 0,
    deleted: 0,
    arrivals: [],
    strays: [],
    moved: [],
    withheld: [],
    lodgers: [],
    following: [],
  };
}

/**
 * Makes these scopes of the targets what their views say. The caller holds the scopes' locks (or their targets'
 * exclusive locks) and a READ COMMITTED transaction. Parents are written before children, and deleted after them.
 */
export async function mergeScopes(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  refs: readonly ScopeRef[],
  ofMoved: OfMoved = 'left',
): Promise<MergeResult> {
  const result = emptyResult();
  const doomed: Doomed[] = [];
  for (const { target, scopes } of byTarget(refs)) {
    const extent = extentOfScopes(target, scopes);
    const keys = await upsert(client, loaded, target, extent, result, ofMoved);
    if (keys.length > 0) doomed.push({ target, extent, keys });
  }
  await deleteDoomed(client, loaded, doomed, new Set(refs.map(scopeIdentity)), result);
  return result;
}

/**
 * The same for a whole range of one target.
 *
 * @param mayLeaveDoomed when a child row still refers to a doomed row, leave it (and say so) instead of failing.
 */
export async function mergeExtent(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
  extent: Extent,
  mayLeaveDoomed: (error: unknown) => boolean,
): Promise<MergeResult & { leftDoomed: boolean }> {
  const result = emptyResult();
  const keys = await upsert(client, loaded, target, extent, result, 'left');
  if (keys.length === 0) return { ...result, leftDoomed: false };
  await client.query('SAVEPOINT lockstep_delete');
  try {
    await deleteDoomed(client, loaded, [{ target, extent, keys }], new Set(), result);
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
  } catch (error) {
    if (!mayLeaveDoomed(error)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT lockstep_delete');
    result.following = [];
    return { ...result, leftDoomed: true };
  }
  return { ...result, leftDoomed: false };
}
