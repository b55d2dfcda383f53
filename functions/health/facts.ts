import { type Queryable, textRows } from '../../engine/text-query.ts';

/** What `readStatus` does not tell: since when things could be expected, and what validations found. */
export interface Facts {
  /** How long the database has been in its phase; before that nothing could be expected of this direction. */
  readonly phaseForMs: number;
  /** The last one that compared every row of every target and came to an answer. */
  readonly validation: Validation | undefined;
  /** Of the last validation that made any. */
  readonly checks: readonly Check[];
}

export interface Validation {
  readonly startedAgoMs: number;
  readonly agrees: boolean;
  readonly driftedRows: number;
}

/** As in `lockstep.validation.checks`: what the migration's own check returned. */
export interface Check {
  readonly level: 'counts' | 'rules';
  readonly name: string;
  readonly outcome: 'pass' | 'fail' | 'moving';
  readonly values: Readonly<Record<string, string | null>>;
}

const phaseSql = 'SELECT extract(epoch FROM clock_timestamp() - changed_at) * 1000 AS ms FROM lockstep.phase';

/** A run of some targets or of a sample says nothing about the rest, and one that proved nothing says nothing at all. */
const validationSql = `
  SELECT extract(epoch FROM clock_timestamp() - started_at) * 1000 AS ms, verdict, rows_drifted AS drifted
    FROM lockstep.validation
   WHERE direction = $1 AND finished_at IS NOT NULL AND verdict <> 'unproven' AND sample_percent IS NULL
     AND targets @> $2::text[]
   ORDER BY started_at DESC LIMIT 1`;

const checksSql = `
  SELECT checks FROM lockstep.validation
   WHERE direction = $1 AND finished_at IS NOT NULL AND checks <> '[]'
   ORDER BY started_at DESC LIMIT 1`;

/**
 * Reads them; changes nothing.
 *
 * @param targets all of the direction.
 */
export async function readFacts(db: Queryable, direction: string, targets: readonly string[]): Promise<Facts> {
  const [phase] = await textRows<{ ms: string }>(db, phaseSql);
  const [last] = await textRows<{ ms: string; verdict: string; drifted: string }>(db, validationSql, [
    direction,
    targets,
  ]);
  const [made] = await textRows<{ checks: string }>(db, checksSql, [direction]);
  return {
    phaseForMs: Number(phase?.ms ?? 0),
    validation: last && {
      startedAgoMs: Number(last.ms),
      agrees: last.verdict === 'agrees',
      driftedRows: Number(last.drifted),
    },
    checks: made ? (JSON.parse(made.checks) as Check[]) : [],
  };
}
