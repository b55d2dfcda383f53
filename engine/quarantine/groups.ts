import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { notUnderWay } from './quarantine.ts';

/** The scopes of one target that are in quarantine for one kind of reason. */
export interface QuarantineReason {
  readonly target: string;
  readonly sqlState: string;
  readonly scopes: number;
  /** What the server said of the one that failed last. */
  readonly message: string;
  /** Milliseconds since 1970: when the first of them failed first, and any of them last. */
  readonly sinceMs: number;
  readonly lastMs: number;
  /** Of the one that was tried most often. */
  readonly attempts: number;
  /** Some of the scopes, those that failed last. */
  readonly examples: readonly (readonly string[])[];
}

const reasonsSql = `
  SELECT target, sqlstate AS "sqlState", count(*) AS scopes, (array_agg(message ORDER BY last_failed_at DESC))[1] AS message,
         extract(epoch FROM min(first_failed_at)) * 1000 AS since, extract(epoch FROM max(last_failed_at)) * 1000 AS last,
         max(attempts) AS attempts, to_json((array_agg(to_json(scope) ORDER BY last_failed_at DESC))[1:5]) AS examples
  FROM lockstep.quarantine WHERE direction = $1 AND ${notUnderWay} GROUP BY target, sqlstate ORDER BY count(*) DESC, target, sqlstate`;

/** What is in quarantine and why, the most frequent reason first. */
export async function readQuarantineReasons(db: Queryable, direction: DirectionName): Promise<QuarantineReason[]> {
  type Row = Record<'target' | 'sqlState' | 'scopes' | 'message' | 'since' | 'last' | 'attempts' | 'examples', string>;
  const rows = await textRows<Row>(db, reasonsSql, [direction]);
  return rows.map(({ target, sqlState, message, scopes, since, last, attempts, examples }) => ({
    target,
    sqlState,
    scopes: Number(scopes),
    message,
    sinceMs: Number(since),
    lastMs: Number(last),
    attempts: Number(attempts),
    examples: JSON.parse(examples),
  }));
}
