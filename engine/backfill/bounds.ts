import { columnList, quote, quoteRelation } from '../identifiers.ts';
import type { Extent } from '../merge/predicate.ts';
import type { LoadedTarget } from '../migration/load.ts';

/**
 * The scope that is `$1` scopes further than a cursor: the upper bound of the next chunk, found in the indexes of the
 * walked relations and of the target itself, without deriving anything. No row: the rest is less than that.
 * Parameters: how many, then the cursor's columns (none at the beginning).
 */
export function upperBoundSql(target: LoadedTarget, fromStart: boolean): string {
  const places = [...target.walk, { relation: target.relation, columns: target.scope }];
  const cursor = target.scopeTypes.map((type, index) => `$${index + 2}::${type}`).join(', ');
  const branches = places.map(({ relation, columns }) => {
    const list = columnList('w', columns);
    const aliased = columns
      .map(
        (column, index) => `w.${quote(column)}::${target.scopeTypes[index]} AS ${quote(target.scope[index] ?? column)}`,
      )
      .join(', ');
    const condition = fromStart ? `(${list}) IS NOT NULL` : `(${list}) > (${cursor})`;
    return `(SELECT ${aliased} FROM ${quoteRelation(relation)} w WHERE ${condition} ORDER BY ${list} LIMIT $1)`;
  });
  const scope = target.scope.map(quote).join(', ');
  return `SELECT ARRAY[${target.scope.map((column) => `s.${quote(column)}::text`).join(', ')}] AS scope
FROM (SELECT ${scope} FROM (${branches.join('\n  UNION ALL ')}) u ORDER BY ${scope} OFFSET $1 - 1 LIMIT 1) s`;
}

/**
 * Every scope of a range, from the walked relations, the target, and quarantine: a scope that was refused and of which
 * nothing is left is nowhere else. Parameters: the range's, then the direction and the target's name.
 */
export function scopesOfRangeSql(target: LoadedTarget, { where, parameters }: Extent): string {
  const places = [...target.walk, { relation: target.relation, columns: target.scope }];
  const scope = target.scope.map(quote).join(', ');
  const branches = places.map(
    ({ relation, columns }) => `SELECT ${columns.map(quote).join(', ')} FROM ${quoteRelation(relation)}`,
  );
  const parts = target.scopeTypes.map((type, index) => `q.scope[${index + 1}]::${type}`);
  const [direction, name] = [parameters.length + 1, parameters.length + 2];
  // OFFSET 0: scopes of other targets, which are of other types, are left out before the cast.
  const quarantined = `SELECT ${parts.join(', ')} FROM (
  SELECT scope FROM lockstep.quarantine WHERE direction = $${direction} AND target = $${name} OFFSET 0) q`;
  return `SELECT DISTINCT ARRAY[${target.scope.map((column) => `s.${quote(column)}::text`).join(', ')}] AS scope
FROM (${[...branches, quarantined].join(' UNION ALL ')}) s (${scope}) WHERE ${where('s')}`;
}

const wantedChunkMs = 100;
export const firstChunkScopes = 500;
const smallestChunk = 50;
const largestChunk = 50_000;

/**
 * The size of the next chunk from the time the last one took: a chunk holds its target's exclusive lock, and merges of
 * the stream wait for it, so what is bounded is time and not rows. At most doubled, so that one quick chunk (an empty
 * range) does not lead to a very long one.
 */
export function nextChunkScopes(lastScopes: number, lastMs: number): number {
  const fitting = Math.round((lastScopes * wantedChunkMs) / Math.max(lastMs, 1));
  return Math.max(smallestChunk, Math.min(largestChunk, lastScopes * 2, fitting));
}
