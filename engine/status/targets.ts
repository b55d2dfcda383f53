import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** What the last validation that has compared all of a target found in it. */
export interface ValidatedTarget {
  readonly target: string;
  /** When that validation began, in milliseconds since 1970. */
  readonly validatedAtMs: number;
  /** Rows that the view had, and that the table had. */
  readonly expected: number;
  readonly present: number;
  /** Rows that it found to have drifted and that have not been found to agree since; counted up to `mostDrifted`. */
  readonly drifted: number;
}

/** Beyond it, drift is not counted row by row: `mostDrifted` then means "at least". */
export const mostDrifted = 10_000;

/** Looked at to find the last one that has compared a target: runs may be of other targets, or of a sample. */
const recentRuns = 20;

const validatedSql = `
  SELECT DISTINCT ON (t.target) t.target, extract(epoch FROM v.started_at) * 1000 AS started,
         t.rows_expected AS expected, t.rows_present AS present, d.rows AS drifted
  FROM (SELECT id, started_at FROM lockstep.validation
        WHERE direction = $1 AND sample_percent IS NULL ORDER BY started_at DESC LIMIT $2) v
  JOIN lockstep.validation_target t ON t.validation_id = v.id AND t.finished_at IS NOT NULL
  CROSS JOIN LATERAL (
    SELECT count(*) AS rows FROM (
      SELECT FROM lockstep.drift f WHERE f.validation_id = v.id AND f.target = t.target AND f.direction = $1
         AND f.ended_at IS NULL AND NOT f.quarantined LIMIT $3) counted) d
  ORDER BY t.target, v.started_at DESC`;

/** By the targets that have been validated to their end, in alphabetical order. */
export async function readValidatedTargets(db: Queryable, direction: DirectionName): Promise<ValidatedTarget[]> {
  type Row = Record<'target' | 'started' | 'expected' | 'present' | 'drifted', string>;
  const rows = await textRows<Row>(db, validatedSql, [direction, recentRuns, mostDrifted]);
  return rows.map((row) => ({
    target: row.target,
    validatedAtMs: Number(row.started),
    expected: Number(row.expected),
    present: Number(row.present),
    drifted: Number(row.drifted),
  }));
}
