import { formatLsn, type Lsn, parseLsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

export interface InFlight {
  readonly messages: number;
  readonly keys: number;
  /** The watermark: everything that committed below it has been applied. Undefined when nothing is in flight. */
  readonly oldestLsn: Lsn | undefined;
  /**
   * How long ago the oldest change in flight committed; 0 when none is. A backfill that has begun is no change: it may
   * run for days, and tells its own progress.
   */
  readonly oldestAgeMs: number;
}

const inFlightSql = `
  SELECT count(*) AS messages, coalesce(sum(key_count), 0) AS keys,
         (SELECT commit_lsn FROM lockstep.in_flight WHERE direction = $1 ORDER BY commit_lsn LIMIT 1) AS oldest,
         coalesce(extract(epoch FROM clock_timestamp() - min(committed_at) FILTER (WHERE b.id IS NULL)) * 1000, 0) AS age
  FROM lockstep.in_flight f LEFT JOIN lockstep.backfill b ON f.kind = 'backfill' AND b.id = f.id
  WHERE f.direction = $1`;

/** What has been sent (or is about to be) and is not applied yet. */
export async function readInFlight(db: Queryable, direction: DirectionName): Promise<InFlight> {
  const [row] = await textRows<{ messages: string; keys: string; oldest: string | null; age: string }>(
    db,
    inFlightSql,
    [direction],
  );
  return {
    messages: Number(row?.messages ?? 0),
    keys: Number(row?.keys ?? 0),
    oldestLsn: row?.oldest ? parseLsn(row.oldest) : undefined,
    oldestAgeMs: Math.max(0, Number(row?.age ?? 0)),
  };
}

const bySourceSql = `
  SELECT k.key AS source, sum(k.value::bigint) AS keys
  FROM lockstep.in_flight f, jsonb_each_text(f.source_keys) k WHERE f.direction = $1 GROUP BY k.key`;

/** How many rows of each source are in flight, by its name; a source that is not named has none. */
export async function readInFlightBySource(db: Queryable, direction: DirectionName): Promise<Map<string, number>> {
  const rows = await textRows<{ source: string; keys: string }>(db, bySourceSql, [direction]);
  return new Map(rows.map(({ source, keys }) => [source, Number(keys)]));
}

const clearSql = `
  SELECT NOT EXISTS (SELECT FROM lockstep.in_flight WHERE direction = $1 AND commit_lsn <= $2::pg_lsn) AS clear`;

/**
 * Whether nothing is in flight at or below this position. Together with a slot that is confirmed to it, it means that
 * every transaction which committed before it is applied. Ask for the slot first, then for this.
 */
export async function isClearUpTo(db: Queryable, direction: DirectionName, lsn: Lsn): Promise<boolean> {
  const [row] = await textRows<{ clear: string }>(db, clearSql, [direction, formatLsn(lsn)]);
  return row?.clear === 't';
}
