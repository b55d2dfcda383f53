import { upperBoundSql } from '../backfill/bounds.ts';
import { quote } from '../identifiers.ts';
import { type Extent, extentOfRange } from '../merge/predicate.ts';
import type { LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** No lock is held, so a chunk may take longer than one of a backfill; its snapshot holds back vacuum meanwhile. */
const wantedChunkMs = 700;
export const defaultFirstChunkScopes = 2_000;
const smallestChunk = 100;
const largestChunk = 200_000;

/** A stretch of chunks with so many suspects is settled before more are compared. */
export const mostSuspects = 2_000;

/** The size of the next chunk from the time that the last one took, and from how many of its scopes differed. */
export function nextChunkScopes(lastScopes: number, lastMs: number, suspects: number): number {
  const inTime = Math.round((lastScopes * wantedChunkMs) / Math.max(lastMs, 1));
  const toSettle = suspects > mostSuspects ? Math.round((lastScopes * mostSuspects) / suspects) : largestChunk;
  return Math.max(smallestChunk, Math.min(largestChunk, lastScopes * 4, inTime, toSettle));
}

/** How long to pause after a chunk, so that no more than `rowsPerSecond` are compared. */
export function pauseForRateMs(rows: number, tookMs: number, rowsPerSecond: number | undefined): number {
  return rowsPerSecond === undefined ? 0 : Math.max(0, (rows * 1000) / rowsPerSecond - tookMs);
}

/** The scope that is `scopes` further than the cursor; null when the rest is less than that. */
export async function upperBound(
  db: Queryable,
  target: LoadedTarget,
  after: string[] | null,
  scopes: number,
): Promise<string[] | null> {
  const [row] = await textRows<{ scope: string }>(
    db,
    `SELECT to_json(scope) AS scope FROM (${upperBoundSql(target, after === null)}) b`,
    [scopes, ...(after ?? [])],
  );
  return row ? (JSON.parse(row.scope) as string[]) : null;
}

const hashRange = 2 ** 31;

/** The scopes of a range; of a sample, those whose hash says so, so that each scope has the same chance. */
export function extentOfChunk(
  target: LoadedTarget,
  after: string[] | null,
  upTo: string[] | null,
  sample: Sample | undefined,
): Extent {
  const range = extentOfRange(target, after, upTo);
  if (!sample) return range;
  const threshold = Math.round((sample.percent / 100) * hashRange);
  return {
    ...range,
    where: (alias) => {
      const text = `ARRAY[${target.scope.map((column) => `${alias}.${quote(column)}::text`).join(', ')}]::text`;
      return `${range.where(alias)} AND (hashtextextended(${text}, ${sample.seed}) & ${hashRange - 1}) < ${threshold}`;
    },
  };
}

export interface Sample {
  /** Above 0, below 100. */
  readonly percent: number;
  /** Another one chooses other scopes. */
  readonly seed: bigint;
}
