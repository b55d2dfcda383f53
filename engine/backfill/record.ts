import type pg from 'pg';
import { quoteRelation } from '../identifiers.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';

type Queryable = Pick<pg.ClientBase, 'query'>;

export interface BackfillRequest {
  readonly id: string;
  readonly direction: DirectionName;
  readonly reason: string;
  /** In dependency order. */
  readonly targets: readonly string[];
  /**
   * The queue was lost: when the run ends, all messages up to this one (`newestForgettable`) are struck out, since what
   * they name has been derived again by then.
   */
  readonly forgetsUpToSeq?: string;
}

const requestSql = `
  INSERT INTO lockstep.backfill (id, direction, reason, forgets_up_to_seq)
  VALUES ($1, $2, $3, CASE WHEN $3 = 'messages lost' THEN (SELECT seq FROM lockstep.in_flight WHERE id = $1) ELSE $4::bigint END)
  ON CONFLICT (id) DO NOTHING`;
const requestTargetSql = `
  INSERT INTO lockstep.backfill_target (backfill_id, target, ordinal, scopes_estimated)
  VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`;
const estimateSql = 'SELECT greatest(reltuples, 0)::bigint::text AS rows FROM pg_class WHERE oid = $1::regclass';

async function estimateScopes(db: Queryable, target: LoadedTarget): Promise<number> {
  let rows = 0;
  for (const walk of target.walk) {
    rows += Number((await db.query<{ rows: string }>(estimateSql, [quoteRelation(walk.relation)])).rows[0]?.rows ?? 0);
  }
  return rows;
}

/** Enters a run, in the caller's transaction. Entering it again changes nothing. */
export async function enterBackfill(
  client: Queryable,
  loaded: LoadedDirection,
  request: BackfillRequest,
): Promise<void> {
  const entered = await client.query(requestSql, [
    request.id,
    request.direction,
    request.reason,
    request.forgetsUpToSeq ?? null,
  ]);
  if (entered.rowCount === 0) return;
  for (const target of loaded.targets) {
    if (!request.targets.includes(target.name)) continue;
    await client.query(requestTargetSql, [
      request.id,
      target.name,
      target.ordinal,
      await estimateScopes(client, target),
    ]);
  }
}

export interface BackfillProgress {
  id: string;
  reason: string;
  requestedAt: string;
  finishedAt: string | null;
  paused: boolean;
  target: string;
  scopesDone: number;
  scopesEstimated: number;
  rowsWritten: number;
  startedAt: string | null;
  targetFinishedAt: string | null;
}

const progressSql = `
  SELECT b.id::text AS id, b.reason, b.requested_at::text AS "requestedAt", b.finished_at::text AS "finishedAt", b.paused,
         t.target, to_json(t.scopes_done) AS "scopesDone", to_json(t.scopes_estimated) AS "scopesEstimated",
         to_json(t.rows_written) AS "rowsWritten", t.started_at::text AS "startedAt", t.finished_at::text AS "targetFinishedAt"
  FROM lockstep.backfill b JOIN lockstep.backfill_target t ON t.backfill_id = b.id
  WHERE b.direction = $1 AND b.requested_at >= (SELECT max(requested_at) FROM lockstep.backfill WHERE direction = $1 AND (finished_at IS NULL
        OR NOT EXISTS (SELECT FROM lockstep.backfill u WHERE u.direction = $1 AND u.finished_at IS NULL)))
  ORDER BY b.requested_at, t.ordinal`;

/** The targets of the newest run (of the newest unfinished one, if any), in order. */
export async function readBackfill(db: Queryable, direction: DirectionName): Promise<BackfillProgress[]> {
  return (await db.query<BackfillProgress>(progressSql, [direction])).rows;
}

const pauseSql = 'UPDATE lockstep.backfill SET paused = $2 WHERE direction = $1 AND finished_at IS NULL';

/** Pauses or resumes all unfinished runs; a chunk that is under way ends first. @returns how many runs. */
export async function setBackfillPaused(db: Queryable, direction: DirectionName, paused: boolean): Promise<number> {
  return (await db.query(pauseSql, [direction, paused])).rowCount ?? 0;
}

const unfinishedSql = `
  SELECT id::text AS id FROM lockstep.backfill WHERE direction = $1 AND finished_at IS NULL ORDER BY requested_at`;
const coveredSql = `
  SELECT EXISTS (SELECT FROM lockstep.backfill b WHERE b.direction = $1 AND b.finished_at IS NULL
    AND (b.forgets_up_to_seq IS NOT NULL OR NOT $3)
    AND (SELECT array_agg(t.target) FROM lockstep.backfill_target t WHERE t.backfill_id = b.id) @> $2::text[]) AS covered`;

/** Runs that have not ended, oldest first. */
export async function unfinishedBackfills(db: Queryable, direction: DirectionName): Promise<string[]> {
  return (await db.query<{ id: string }>(unfinishedSql, [direction])).rows.map((row) => row.id);
}

/** Whether a run that has not ended derives all of these targets, and, if asked for, forgets what was in flight. */
export async function isCovered(
  db: Queryable,
  direction: DirectionName,
  targets: readonly string[],
  forgets: boolean,
): Promise<boolean> {
  return (await db.query<{ covered: boolean }>(coveredSql, [direction, targets, forgets])).rows[0]?.covered ?? false;
}
