import { retryPauseMs } from '../apply/work.ts';
import { pauseBeforeChunkMs, readLoad } from '../backfill/pace.ts';
import { isConnectionLost, withConnection } from '../connection.ts';
import type { Failpoints } from '../failpoint.ts';
import type { LoadedTarget } from '../migration/load.ts';
import { remedyFor } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';
import { extentOfChunk, mostSuspects, nextChunkScopes, pauseForRateMs, type Sample, upperBound } from './chunks.ts';
import { type Comparison, compare } from './compare.ts';
import { readPosition, recordStretch, type Stretch } from './record.ts';
import type { Run } from './run.ts';
import { type SettleContext, settle } from './settle.ts';

export interface PassContext extends SettleContext {
  readonly run: Run;
  readonly telemetry: Telemetry;
  readonly failpoints: Failpoints;
  readonly rowsPerSecond: number | undefined;
  readonly maxLoad: number | undefined;
  readonly firstChunkScopes: number;
  /** What was found is settled and recorded so often; after a kill, the rest is done again. */
  readonly checkpointMs: number;
  readonly onProgress: (target: string, compared: number) => void;
}

/** Time kept for settling what was compared before the deadline. */
const settleReserveMs = 10_000;

/** Another scope sample for each run, the same one for all invocations of a run. */
function sampleOf(run: Run): Sample | undefined {
  if (run.samplePercent === undefined) return undefined;
  return { percent: run.samplePercent, seed: BigInt(`0x${run.id.replaceAll('-', '').slice(0, 15)}`) };
}

/**
 * Compares a target from where the run stands, chunk by chunk, and settles what differs.
 *
 * @returns false when the deadline or the signal came before its end.
 * @throws errors that no repetition mends.
 */
export async function passTarget(context: PassContext, target: LoadedTarget): Promise<boolean> {
  const { pool, run, failpoints, telemetry } = context;
  // What was compared before the deadline has to be settled before it, too.
  const reserveMs = Math.min(settleReserveMs, (context.deadlineMs - context.clock.nowMs()) / 3);
  const pacing: Pacing = { scopes: context.firstChunkScopes, compared: 0, stopAtMs: context.deadlineMs - reserveMs };
  for (;;) {
    const position = await persistently(context, () => readPosition(pool, run, target.name));
    if (position.finished) return true;
    const found = await compareStretch(context, target, position.cursor, pacing);
    if (!found) return false;
    telemetry.measure('validate_rows_compared', found.compared);
    telemetry.measure('validate_scopes_suspected', found.suspects.length);
    await failpoints('validate.compared');
    const settled = await persistently(context, () => settle(context, target, found.suspects));
    // What was cut short is compared again by the next invocation.
    if (settled.cutShort) return false;
    const stretch: Stretch = { ...found, from: position.cursor, settled };
    await persistently(context, () => withConnection(pool, (client) => recordStretch(client, run, target, stretch)));
    await failpoints('validate.recorded');
  }
}

/** What one stretch of a target hands on to the next. */
interface Pacing {
  /** Of the next chunk. */
  scopes: number;
  /** Rows, in this invocation. */
  compared: number;
  /** Epoch. */
  readonly stopAtMs: number;
}

interface Found extends Omit<Stretch, 'from' | 'settled'> {
  readonly suspects: string[][];
}

/** Chunks from a cursor on, until there is enough to settle. Undefined when there was no time for any. */
async function compareStretch(
  context: PassContext,
  target: LoadedTarget,
  from: string[] | null,
  pacing: Pacing,
): Promise<Found | undefined> {
  const { clock, signal } = context;
  const beginMs = clock.nowMs();
  let found: Found | undefined;
  for (;;) {
    const chunkMs = clock.nowMs();
    if (chunkMs >= pacing.stopAtMs || signal?.aborted) return found;
    const after = found ? found.upTo : from;
    const chunk = await persistently(context, () => compareChunk(context, target, after, pacing.scopes));
    const tookMs = clock.nowMs() - chunkMs;
    found = {
      upTo: chunk.upTo,
      compared: chunk.compared + (found?.compared ?? 0),
      expected: chunk.expected + (found?.expected ?? 0),
      present: chunk.present + (found?.present ?? 0),
      suspects: [...(found?.suspects ?? []), ...chunk.scopes],
    };
    pacing.compared += chunk.compared;
    pacing.scopes = nextChunkScopes(pacing.scopes, tookMs, chunk.scopes.length);
    context.onProgress(target.name, pacing.compared);
    const enough = found.suspects.length >= mostSuspects || clock.nowMs() - beginMs >= context.checkpointMs;
    if (chunk.upTo === null || enough) return found;
    await persistently(context, () => pace(context, chunk.compared, tookMs));
  }
}

async function compareChunk(
  context: PassContext,
  target: LoadedTarget,
  after: string[] | null,
  scopes: number,
): Promise<Comparison & { upTo: string[] | null }> {
  return withConnection(context.pool, async (client) => {
    // Compiling takes longer than most chunks; the memory is for hashing both sides of one.
    await client.query(
      "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'",
    );
    const upTo = await upperBound(client, target, after, scopes);
    const comparison = await compare(client, target, extentOfChunk(target, after, upTo, sampleOf(context.run)));
    await client.query('COMMIT');
    return { ...comparison, upTo };
  });
}

/** Yields to the application, and keeps to the rate that was asked for. */
async function pace(
  { pool, loaded, clock, rowsPerSecond, maxLoad }: PassContext,
  rows: number,
  tookMs: number,
): Promise<void> {
  const load = await readLoad(pool, loaded.name);
  const pauseMs = Math.max(pauseBeforeChunkMs(load, tookMs, maxLoad), pauseForRateMs(rows, tookMs, rowsPerSecond));
  if (pauseMs > 0) await clock.pauseMs(pauseMs);
}

const mostRepetitions = 8;

/** Repeats what failed for a passing reason: a lost connection, a server that restarts. */
async function persistently<T>({ clock, deadlineMs, signal }: SettleContext, work: () => Promise<T>): Promise<T> {
  for (let repetition = 1; ; repetition += 1) {
    try {
      return await work();
    } catch (error) {
      if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
      const waitMs = retryPauseMs(repetition, Math.random());
      if (repetition > mostRepetitions || signal?.aborted || clock.nowMs() + waitMs >= deadlineMs) throw error;
      await clock.pauseMs(waitMs);
    }
  }
}
