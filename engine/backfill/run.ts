import type pg from 'pg';
import { type ApplyLimits, defaultLimits } from '../apply/limits.ts';
import { doWork, noCounts, retryPauseMs, type WorkContext } from '../apply/work.ts';
import { type Clock, systemClock } from '../clock.ts';
import { isConnectionLost, withConnection } from '../connection.ts';
import type { Failpoints } from '../failpoint.ts';
import { strikeRuns } from '../ledger/runs.ts';
import { emptyResult } from '../merge/merge.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { remedyFor, sqlState } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';
import { firstChunkScopes, nextChunkScopes } from './bounds.ts';
import { advance, type Chunk, mergeNextChunk, scopesOfChunk } from './chunk.ts';
import { pauseBeforeChunkMs, readLoad } from './pace.ts';

export interface BackfillOptions {
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly runId: string;
  /** Epoch; the chunk under way ends first. */
  readonly deadlineMs: number;
  /** Aborted: ends like the deadline. */
  readonly signal?: AbortSignal;
  readonly telemetry: Telemetry;
  readonly limits?: ApplyLimits;
  readonly failpoints?: Failpoints;
  readonly clock?: Clock;
  /** Active sessions of the application above which the run holds back. */
  readonly maxLoad?: number;
  /** Called after each chunk. */
  readonly onProgress?: () => Promise<void> | void;
}

export type BackfillOutcome = 'finished' | 'paused' | 'out of time' | 'fenced';

const finishSql = `
  WITH ended AS (
    UPDATE lockstep.backfill b SET finished_at = clock_timestamp() WHERE id = $1 AND finished_at IS NULL
      AND NOT EXISTS (SELECT FROM lockstep.backfill_target t WHERE t.backfill_id = b.id AND (t.finished_at IS NULL OR t.doomed_left))
    RETURNING id, direction, forgets_up_to_seq)
  DELETE FROM lockstep.in_flight f USING ended
  WHERE f.id = ended.id
     OR (f.direction = ended.direction AND f.seq <= ended.forgets_up_to_seq
         -- A backfill that has not begun may be the one that a slot, which is being made, will need.
         AND (f.kind <> 'backfill' OR EXISTS (SELECT FROM lockstep.backfill b WHERE b.id = f.id)))
  RETURNING f.id::text AS id, f.kind`;

/**
 * Derives the run's targets again, chunk by chunk, from where its cursors stand, until the end or the deadline. It may
 * be killed at any moment, and several workers may run it at once.
 *
 * @throws errors that no repetition mends (SQLSTATE policy `stop`).
 */
export async function runBackfill(options: BackfillOptions): Promise<BackfillOutcome> {
  const context: WorkContext = {
    pool: options.pool,
    loaded: options.loaded,
    telemetry: options.telemetry,
    limits: options.limits ?? defaultLimits,
    failpoints: options.failpoints ?? (() => {}),
    clock: options.clock ?? systemClock,
  };
  const { clock } = context;
  const pace: Pace = { first: firstChunkScopes, scopes: new Map(), careful: new Set(), lastMs: 0 };
  let repetition = 0;
  while (clock.nowMs() < options.deadlineMs && !options.signal?.aborted) {
    try {
      const load = await readLoad(context.pool, context.loaded.name);
      await clock.pauseMs(pauseBeforeChunkMs(load, pace.lastMs, options.maxLoad));
      const end = await oneChunk(context, options, pace);
      if (end) return end;
      repetition = 0;
      await options.onProgress?.();
    } catch (error) {
      if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
      repetition += 1;
      await afterFailure(context, pace, error, repetition);
    }
  }
  return 'out of time';
}

/** Waits before the same is tried again, with less if it was too much. */
async function afterFailure(
  { clock, telemetry }: WorkContext,
  pace: Pace,
  error: unknown,
  repetition: number,
): Promise<void> {
  if (wasTooMuch(error)) halve(pace);
  const pauseMs = retryPauseMs(repetition, Math.random());
  const reason = error instanceof Error ? error.message : String(error);
  // A lock that was not free for a moment is nothing to tell.
  const level = repetition > 2 ? 'warn' : 'info';
  telemetry.log(level, 'backfill.chunk-repeated', { code: sqlState(error), reason, repetition, pauseMs });
  await clock.pauseMs(pauseMs);
}

/** Whether it was too much for the server: memory, temporary files, time. */
const wasTooMuch = (error: unknown) => /^(53|57014)/.test(sqlState(error) ?? '');

function halve(pace: Pace): void {
  pace.first = Math.ceil(pace.first / 2);
  for (const [target, scopes] of pace.scopes) pace.scopes.set(target, Math.ceil(scopes / 2));
}

interface Pace {
  /** Scopes of a target's first chunk. */
  first: number;
  /** Scopes of the next chunk, by target. */
  readonly scopes: Map<string, number>;
  /** Targets whose data is not such that a whole chunk can simply be inserted. */
  readonly careful: Set<string>;
  lastMs: number;
}

/** @returns how the run ended, if it did. */
async function oneChunk(
  context: WorkContext,
  { runId, deadlineMs }: BackfillOptions,
  pace: Pace,
): Promise<BackfillOutcome | undefined> {
  const startedMs = context.clock.nowMs();
  const outcome = await mergeNextChunk(context, runId, {
    scopes: (target) => pace.scopes.get(target) ?? pace.first,
    mayFill: (target) => !pace.careful.has(target),
  });
  pace.lastMs = context.clock.nowMs() - startedMs;
  switch (outcome.kind) {
    case 'merged': {
      const { inserted, updated, deleted } = outcome.result;
      if (outcome.fillRefused) pace.careful.add(outcome.chunk.target.name);
      pace.scopes.set(outcome.chunk.target.name, nextChunkScopes(outcome.chunk.scopes, pace.lastMs));
      context.telemetry.measure('backfill_rows_written', inserted + updated + deleted);
      return undefined;
    }
    case 'refused':
      return (await mergePiecemeal(context, runId, outcome.chunk, outcome.pass, deadlineMs))
        ? undefined
        : 'out of time';
    case 'finished':
      await finish(context.pool, runId);
      return 'finished';
    case 'gone':
      // Another worker has ended it.
      return 'finished';
    default:
      return outcome.kind;
  }
}

/** Durably, whatever the server's setting is: the queue forgets the message then, and chunks were not waited for. */
async function finish(pool: pg.Pool, runId: string): Promise<void> {
  await withConnection(pool, async (client) => {
    await client.query('BEGIN; SET LOCAL synchronous_commit = on');
    const { rows } = await client.query<{ id: string; kind: string }>(finishSql, [runId]);
    // What is forgotten may be a run that has begun. All of it has been derived by this one, and nobody would go on with it.
    await strikeRuns(client, rows);
    await client.query('COMMIT');
  });
}

/** A chunk with rows that the target refuses: scope by scope as far as needed, the refused ones into quarantine. */
async function mergePiecemeal(
  context: WorkContext,
  runId: string,
  chunk: Chunk,
  pass: 'merge' | 'delete',
  deadlineMs: number,
): Promise<boolean> {
  const counts = noCounts();
  const scopes = await scopesOfChunk(context.pool, context.loaded.name, chunk);
  const resuming = { ...context, resumes: true };
  const outcome = await doWork(resuming, { rows: new Map() }, [], deadlineMs, counts, { scopes, extensions: 0 });
  if (outcome.kind !== 'done') return false;
  const result = { ...emptyResult(), inserted: counts.inserted, updated: counts.updated, deleted: counts.deleted };
  await withConnection(context.pool, (client) => advance(client, runId, chunk, result, pass, false));
  return true;
}
