import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { recordDifferences } from './drift.ts';
import type { CheckResult, Repair, Verdict } from './report.ts';
import type { Run } from './run.ts';
import type { Settled } from './settle.ts';

export interface Position {
  readonly cursor: string[] | null;
  readonly finished: boolean;
}

/** What a stretch of chunks of one target adds to the run. */
export interface Stretch {
  readonly from: string[] | null;
  /** Null: to the end of the target. */
  readonly upTo: string[] | null;
  readonly compared: number;
  readonly expected: number;
  readonly present: number;
  readonly settled: Settled;
}

const unfinishedSql = `
  SELECT id FROM lockstep.validation
  WHERE direction = $1 AND finished_at IS NULL AND targets = $2::text[] AND sample_percent IS NOT DISTINCT FROM $3::float8
    AND started_at > clock_timestamp() - interval '1 day'
  ORDER BY started_at DESC LIMIT 1`;
const openSql = `
  INSERT INTO lockstep.validation (id, direction, targets, sample_percent, whole)
  VALUES ($1, $2, $3::text[], $4::float8, $5)`;
const openTargetSql = 'INSERT INTO lockstep.validation_target (validation_id, target, ordinal) VALUES ($1, $2, $3)';
const invocationSql = 'UPDATE lockstep.validation SET invocations = invocations + 1 WHERE id = $1';
/** Reports tell a trend over the last runs; a run each few minutes for months is more than anyone looks at. */
const forgetSql = `
  DELETE FROM lockstep.validation WHERE direction = $1 AND started_at < clock_timestamp() - interval '90 days'`;

/**
 * Opens a run, or goes on with the last one of the same kind that was not finished (killed, or out of time) within a
 * day, when `resume` is set.
 */
export async function openRun(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  targets: readonly LoadedTarget[],
  samplePercent: number | undefined,
  resume: boolean,
): Promise<Run> {
  const direction = loaded.name;
  const names = targets.map(({ name }) => name);
  const sample = samplePercent ?? null;
  await client.query('BEGIN');
  const [open] = resume ? await textRows<{ id: string }>(client, unfinishedSql, [direction, names, sample]) : [];
  const id = open?.id ?? randomUUID();
  if (!open) {
    await client.query(forgetSql, [direction]);
    await client.query(openSql, [id, direction, names, sample, targets.length === loaded.targets.length]);
    for (const { name, ordinal } of targets) await client.query(openTargetSql, [id, name, ordinal]);
  }
  await client.query(invocationSql, [id]);
  await client.query('COMMIT');
  return { id, direction, targets: names, samplePercent };
}

const positionSql = `
  SELECT to_json(cursor) AS cursor, finished_at IS NOT NULL AS finished FROM lockstep.validation_target
  WHERE validation_id = $1 AND target = $2`;

export async function readPosition(db: Queryable, run: Run, target: string): Promise<Position> {
  const [row] = await textRows<{ cursor: string | null; finished: string }>(db, positionSql, [run.id, target]);
  return { cursor: JSON.parse(row?.cursor ?? 'null'), finished: row?.finished === 't' };
}

const unsettledExamples = 20;
/** Only from where the stretch began: of two workers on one run, the second to arrive has done it in vain. */
const advanceSql = `
  UPDATE lockstep.validation_target
  SET cursor = $4::text[], rows_compared = rows_compared + $5, rows_expected = rows_expected + $6, rows_present = rows_present + $7,
      scopes_unsettled = scopes_unsettled + $8,
      unsettled = CASE WHEN jsonb_array_length(unsettled) < ${unsettledExamples} THEN unsettled || $9::jsonb ELSE unsettled END,
      finished_at = CASE WHEN $10 THEN clock_timestamp() END
  WHERE validation_id = $1 AND target = $2 AND finished_at IS NULL AND cursor IS NOT DISTINCT FROM $3::text[]`;
const agreeAgainSql = `
  UPDATE lockstep.drift SET ended_at = clock_timestamp(), ended_by = 'synchronization'
  WHERE direction = $1 AND target = $2 AND ended_at IS NULL AND validation_id <> $3`;

/**
 * Records a stretch: what it found, and that the run has come so far, in one transaction.
 *
 * @returns false when another worker has been there; nothing is recorded then.
 */
export async function recordStretch(
  client: pg.ClientBase,
  run: Run,
  target: LoadedTarget,
  stretch: Stretch,
): Promise<boolean> {
  const { settled } = stretch;
  await client.query('BEGIN');
  const advanced = await client.query(advanceSql, [
    run.id,
    target.name,
    stretch.from,
    stretch.upTo,
    stretch.compared,
    stretch.expected,
    stretch.present,
    settled.unsettled.length,
    JSON.stringify(settled.unsettled.slice(0, unsettledExamples)),
    stretch.upTo === null,
  ]);
  if (advanced.rowCount === 0) {
    await client.query('ROLLBACK');
    return false;
  }
  await recordDifferences(client, run, target, [...settled.drift, ...settled.quarantined]);
  // What a whole pass has not seen again is no more; a sample cannot tell.
  if (stretch.upTo === null && run.samplePercent === undefined) {
    await client.query(agreeAgainSql, [run.direction, target.name, run.id]);
  }
  await client.query('COMMIT');
  return true;
}

const concludeSql = `
  UPDATE lockstep.validation
  SET spent_ms = spent_ms + $2, lag_ms = coalesce($3, lag_ms), verdict = $4, rows_drifted = $5, rows_quarantined = $6, checks = $7::jsonb, repair = coalesce($9::jsonb, repair),
      finished_at = CASE WHEN $8 THEN coalesce(finished_at, clock_timestamp()) END
  WHERE id = $1`;

export interface Conclusion {
  readonly spentMs: number;
  readonly lagMs: number | null;
  readonly verdict: Verdict;
  readonly rowsDrifted: number;
  readonly rowsQuarantined: number;
  readonly checks: readonly CheckResult[];
  readonly repair: Repair | null;
  readonly finished: boolean;
}

/** Records what an invocation came to. */
export async function recordConclusion(db: Queryable, run: Run, conclusion: Conclusion): Promise<void> {
  const { spentMs, lagMs, verdict, rowsDrifted, rowsQuarantined, checks, repair, finished } = conclusion;
  await db.query(concludeSql, [
    run.id,
    spentMs,
    lagMs,
    verdict,
    rowsDrifted,
    rowsQuarantined,
    JSON.stringify(checks),
    finished,
    repair && JSON.stringify(repair),
  ]);
}
