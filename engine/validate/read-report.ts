import { nameOf } from '../identifiers.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { DriftRow, PastRun, Repair, TargetReport } from './report.ts';
import type { Run } from './run.ts';

/** Rows and scopes of each kind that a report shows; the database keeps all. */
const examples = 100;

const iso = (expression: string) => `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const runSql = `
  SELECT ${iso('started_at')} AS started, ${iso('finished_at')} AS finished, invocations, spent_ms AS spent,
         sample_percent AS sample, repair
  FROM lockstep.validation WHERE id = $1`;

export interface RunState {
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly invocations: number;
  readonly spentMs: number;
  readonly samplePercent: number | null;
  readonly repair: Repair | null;
}

export async function readRun(db: Queryable, run: Run): Promise<RunState> {
  type Row = Record<'started' | 'invocations' | 'spent', string> &
    Record<'finished' | 'sample' | 'repair', string | null>;
  const [row] = await textRows<Row>(db, runSql, [run.id]);
  if (!row) throw new Error(`validation ${run.id} is gone`);
  return {
    startedAt: row.started,
    finishedAt: row.finished,
    invocations: Number(row.invocations),
    spentMs: Number(row.spent),
    samplePercent: row.sample === null ? null : Number(row.sample),
    repair: JSON.parse(row.repair ?? 'null'),
  };
}

const targetSql = `
  SELECT t.rows_compared AS compared, t.rows_expected AS expected, t.rows_present AS present, t.finished_at IS NOT NULL AS complete,
         t.scopes_unsettled AS "unsettledScopes", t.unsettled,
         count(*) FILTER (WHERE d.kind = 'missing' AND NOT d.quarantined) AS missing,
         count(*) FILTER (WHERE d.kind = 'extra' AND NOT d.quarantined) AS extra,
         count(*) FILTER (WHERE d.kind = 'different' AND NOT d.quarantined) AS different,
         count(*) FILTER (WHERE d.ended_by = 'repair' AND NOT d.quarantined) AS repaired,
         count(*) FILTER (WHERE d.quarantined) AS "quarantinedRows",
         (SELECT count(*) FROM lockstep.quarantine q WHERE q.direction = $3 AND q.target = t.target) AS "quarantinedScopes"
  FROM lockstep.validation_target t
  LEFT JOIN lockstep.drift d ON d.validation_id = t.validation_id AND d.target = t.target AND d.direction = $3
  WHERE t.validation_id = $1 AND t.target = $2
  GROUP BY t.validation_id, t.target`;

const driftSql = `
  SELECT kind, to_json(key) AS key, to_json(scope) AS scope, to_json(found_in_scope) AS found, columns, quarantined, reason,
         ${iso('first_seen_at')} AS first, ${iso('last_seen_at')} AS last, CASE WHEN ended_by = 'repair' THEN ${iso('ended_at')} END AS repaired
  FROM lockstep.drift d WHERE validation_id = $1 AND target = $2 AND direction = $3 AND quarantined = $4
  ORDER BY d.key LIMIT ${examples}`;

const quarantineSql = `
  SELECT to_json(scope) AS scope, sqlstate, message, detail, first_failed_at AS first, last_failed_at AS last, attempts
  FROM lockstep.quarantine q WHERE direction = $1 AND target = $2 ORDER BY last_failed_at DESC, q.scope LIMIT ${examples}`;

async function readDrift(db: Queryable, run: Run, target: LoadedTarget, quarantined: boolean): Promise<DriftRow[]> {
  type Row = Record<'kind' | 'key' | 'scope' | 'columns' | 'reason' | 'first' | 'last' | 'quarantined', string> &
    Record<'found' | 'repaired', string | null>;
  const rows = await textRows<Row>(db, driftSql, [run.id, target.name, run.direction, quarantined]);
  return rows.map((row) => {
    const values = JSON.parse(row.key) as string[];
    return {
      kind: row.kind as DriftRow['kind'],
      key: Object.fromEntries(target.key.map((column, index) => [column, values[index] ?? ''])),
      scope: JSON.parse(row.scope),
      ...(row.found === null ? {} : { foundInScope: JSON.parse(row.found) }),
      columns: JSON.parse(row.columns),
      quarantined,
      reason: row.reason,
      firstSeenAt: row.first,
      lastSeenAt: row.last,
      repairedAt: row.repaired,
    };
  });
}

async function readTarget(db: Queryable, run: Run, target: LoadedTarget): Promise<TargetReport> {
  const [row] = await textRows<Record<string, string>>(db, targetSql, [run.id, target.name, run.direction]);
  if (!row) throw new Error(`validation ${run.id} does not know the target ${target.name}`);
  const count = (name: string) => Number(row[name]);
  type Row = Record<'scope' | 'sqlstate' | 'message' | 'first' | 'last' | 'attempts', string> & {
    detail: string | null;
  };
  const scopes = await textRows<Row>(db, quarantineSql, [run.direction, target.name]);
  return {
    target: target.name,
    table: nameOf(target.relation),
    view: nameOf(target.view),
    complete: row.complete === 't',
    compared: count('compared'),
    expected: count('expected'),
    present: count('present'),
    missing: count('missing'),
    extra: count('extra'),
    different: count('different'),
    repaired: count('repaired'),
    drift: await readDrift(db, run, target, false),
    unsettled: { scopes: count('unsettledScopes'), examples: JSON.parse(row.unsettled ?? '[]') },
    quarantined: {
      scopes: count('quarantinedScopes'),
      differingRows: count('quarantinedRows'),
      examples: scopes.map((found) => ({
        scope: JSON.parse(found.scope),
        sqlState: found.sqlstate,
        message: found.message,
        detail: found.detail,
        firstFailedAt: found.first,
        lastFailedAt: found.last,
        attempts: Number(found.attempts),
      })),
      rows: await readDrift(db, run, target, true),
    },
  };
}

/** What a run has found so far, target by target. */
export async function readTargets(db: Queryable, run: Run, loaded: LoadedDirection): Promise<TargetReport[]> {
  const reports: TargetReport[] = [];
  for (const target of loaded.targets) {
    if (run.targets.includes(target.name)) reports.push(await readTarget(db, run, target));
  }
  return reports;
}

const trendSql = `
  SELECT v.id, ${iso('v.started_at')} AS started, v.verdict, v.lag_ms AS lag, v.spent_ms AS spent,
         coalesce((SELECT sum(t.rows_compared) FROM lockstep.validation_target t WHERE t.validation_id = v.id), 0) AS compared,
         v.rows_drifted AS drift, v.rows_quarantined AS quarantined
  FROM lockstep.validation v WHERE v.direction = $1 AND v.verdict IS NOT NULL
  ORDER BY v.started_at DESC LIMIT 60`;

/** The last runs, the oldest first. */
export async function readTrend(db: Queryable, direction: string): Promise<PastRun[]> {
  type Row = Record<'id' | 'started' | 'spent' | 'compared' | 'drift' | 'quarantined', string> &
    Record<'verdict' | 'lag', string | null>;
  const rows = await textRows<Row>(db, trendSql, [direction]);
  return rows.reverse().map((row) => ({
    run: row.id,
    startedAt: row.started,
    verdict: row.verdict as PastRun['verdict'],
    compared: Number(row.compared),
    drift: Number(row.drift),
    quarantinedRows: Number(row.quarantined),
    lagMs: row.lag === null ? null : Number(row.lag),
    spentMs: Number(row.spent),
  }));
}
