import type pg from 'pg';
import { type Extent, extentOfRange, extentOfScopes } from '../merge/predicate.ts';
import type { Direction } from '../migration/contract.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { textRows } from '../text-query.ts';
import { defaultFirstChunkScopes, nextChunkScopes, upperBound } from '../validate/chunks.ts';
import { compare, type DifferenceKind, findDifferences } from '../validate/compare.ts';
import { passBarrier } from '../wait/barrier.ts';

/** Rows of one table that are not what the way back would make of them. */
export interface Departure {
  readonly target: string;
  /** `extra`: the way back would delete them. `missing`: it would add them. `different`: it would change `column`. */
  readonly kind: DifferenceKind;
  /** Null: the whole row. */
  readonly column: string | null;
  readonly rows: number;
  /** Keys of some of them. */
  readonly examples: readonly (readonly string[])[];
}

/** What the legacy schema has no place for, as the migration tells it. */
export interface Loss {
  /** Of the forward direction. */
  readonly target: string;
  readonly column: string | null;
  readonly reason: string;
  readonly rows: number;
  readonly examples: readonly (readonly string[])[];
}

export interface Lossiness {
  /** Legacy rows that the reverse views would change, add or delete now. */
  readonly departures: readonly Departure[];
  /** Normalized rows and columns that would be missing from the legacy tables. */
  readonly losses: readonly Loss[];
}

const shownExamples = 5;
const barrierMs = 20_000;
const settledTogether = 2_000;

/**
 * Compares the legacy tables with what the way back would make of them. Under traffic the two sides are never at one
 * point, so what differs is looked at again after everything that was on its way has been applied.
 *
 * @param loaded the reverse direction.
 * @param active whose changes are on their way.
 */
export async function readLossiness(
  pool: pg.Pool,
  loaded: LoadedDirection,
  declared: Direction,
  active: LoadedDirection['name'],
): Promise<Lossiness> {
  const settle = () => passBarrier({ db: pool, direction: active, timeoutMs: barrierMs });
  await settle();
  const departures: Departure[] = [];
  for (const target of loaded.targets) {
    const tally = new Map<
      string,
      { departure: Omit<Departure, 'rows' | 'examples'>; rows: number; examples: string[][] }
    >();
    const suspects = await differingScopes(pool, target);
    if (suspects.length > 0) await settle();
    for (let from = 0; from < suspects.length; from += settledTogether) {
      const extent = extentOfScopes(target, suspects.slice(from, from + settledTogether));
      await countDepartures(pool, loaded, target, extent, tally);
    }
    for (const { departure, rows, examples } of tally.values()) departures.push({ ...departure, rows, examples });
  }
  return { departures, losses: declared.losses === undefined ? [] : await readLosses(pool, declared.losses) };
}

async function differingScopes(pool: pg.Pool, target: LoadedTarget): Promise<string[][]> {
  const suspects: string[][] = [];
  let after: string[] | null = null;
  let size = defaultFirstChunkScopes;
  do {
    const startedMs = performance.now();
    const upTo: string[] | null = await upperBound(pool, target, after, size);
    const { scopes } = await compare(pool, target, extentOfRange(target, after, upTo));
    suspects.push(...scopes);
    size = nextChunkScopes(size, performance.now() - startedMs, 0);
    after = upTo;
  } while (after !== null);
  return suspects;
}

async function countDepartures(
  pool: pg.Pool,
  loaded: LoadedDirection,
  target: LoadedTarget,
  extent: Extent,
  tally: Map<string, { departure: Omit<Departure, 'rows' | 'examples'>; rows: number; examples: string[][] }>,
): Promise<void> {
  for (const { kind, key, columns } of await findDifferences(pool, loaded.name, target, extent)) {
    for (const column of kind === 'different' ? Object.keys(columns) : [null]) {
      const identity = JSON.stringify([kind, column]);
      const counted = tally.get(identity) ?? {
        departure: { target: target.name, kind, column },
        rows: 0,
        examples: [],
      };
      counted.rows += 1;
      if (counted.examples.length < shownExamples) counted.examples.push([...key]);
      tally.set(identity, counted);
    }
  }
}

/** @param losses the migration's statement of that name. */
export async function readLosses(pool: pg.Pool, losses: string): Promise<Loss[]> {
  const rows = await textRows<{
    target: string;
    column: string | null;
    reason: string;
    rows: string;
    examples: string;
  }>(
    pool,
    `SELECT target, column_name AS column, reason, count(*) AS rows,
            to_json((array_agg(to_json(key) ORDER BY key))[1:${shownExamples}]) AS examples
     FROM (${losses}) l GROUP BY target, column_name, reason ORDER BY target, column_name, reason`,
  );
  return rows.map(({ rows: count, examples, ...loss }) => ({
    ...loss,
    rows: Number(count),
    examples: JSON.parse(examples),
  }));
}
