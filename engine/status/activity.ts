import type { Relation } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** What the server has counted about a table since its statistics were last reset. */
export interface TableActivity {
  /** Rows inserted, updated and deleted, by whomever; the difference of two readings is what happened in between. */
  readonly rowsWritten: number;
  /** Rows that the table has now: the server's estimate, which costs nothing to read. */
  readonly rowsEstimated: number;
}

/**
 * Counters in the server's shared memory: no table is read, however large it is.
 * https://www.postgresql.org/docs/current/monitoring-stats.html
 * A server whose statistics were reset (by a crash, or a restore) knows the estimate of the last ANALYZE only.
 */
const activitySql = `
  SELECT pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid) AS written,
         CASE WHEN pg_stat_get_tuples_inserted(c.oid) > 0 THEN pg_stat_get_live_tuples(c.oid) ELSE greatest(c.reltuples, 0)::bigint END AS estimated
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS r (schema, name, ordinal)
  LEFT JOIN pg_namespace n ON n.nspname = r.schema
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = r.name
  ORDER BY r.ordinal`;

/** The counters of each relation, in order; zeros for one that does not exist. */
export async function readActivity(db: Queryable, relations: readonly Relation[]): Promise<TableActivity[]> {
  const rows = await textRows<{ written: string | null; estimated: string | null }>(db, activitySql, [
    relations.map(({ schema }) => schema),
    relations.map(({ name }) => name),
  ]);
  return rows.map(({ written, estimated }) => ({
    rowsWritten: Number(written ?? 0),
    rowsEstimated: Number(estimated ?? 0),
  }));
}
