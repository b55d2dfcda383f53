import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { enterBackfill, isCovered, readBackfill, unfinishedBackfills } from '../engine/backfill/record.ts';
import { runBackfill } from '../engine/backfill/run.ts';
import { systemClock } from '../engine/clock.ts';
import { LockstepError } from '../engine/errors.ts';
import { newestForgettable } from '../engine/ledger/forgettable.ts';
import type { DirectionName } from '../engine/migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../engine/migration/load.ts';
import type { Answer, Context } from './command.ts';
import { directionOf, loadMigration } from './migration-folder.ts';
import { createLiveText } from './text/live.ts';
import { progressText } from './text/progress.ts';

export interface RunRequest {
  readonly target?: readonly string[];
  readonly maxLoad?: number;
  readonly forgetInFlight?: boolean;
}

/** How often progress is read and shown. */
const showEveryMs = 250;

/**
 * Runs what is unfinished in this process, and shows how far it is; then a new run, when there was none or it did not do
 * what is asked for.
 */
export async function runToEnd(
  context: Context,
  pool: pg.Pool,
  direction: DirectionName,
  request: RunRequest,
): Promise<Answer> {
  const { signal, telemetry, output, folder } = context;
  const loaded = await loadDirection(pool, direction, directionOf(await loadMigration(folder), direction));
  const targets = targetsOf(loaded, request);
  if (!(await isCovered(pool, direction, targets, request.forgetInFlight ?? false))) {
    const open = await unfinishedBackfills(pool, direction);
    if (open.length === 0 || request.target || request.forgetInFlight)
      await enterRun(context, pool, loaded, targets, request);
  }
  const runs = await unfinishedBackfills(pool, direction);
  const live = createLiveText(output);
  let shownAtMs = 0;
  const show = async (always: boolean) => {
    if (!always && Date.now() - shownAtMs < showEveryMs) return;
    shownAtMs = Date.now();
    const targets = await readBackfill(pool, direction);
    live.show(
      { event: 'backfill', targets },
      targets.map((target) => progressText(target)),
    );
  };
  let outcome: Awaited<ReturnType<typeof runBackfill>> = 'finished';
  for (const runId of runs) {
    const { maxLoad } = request;
    outcome = await runBackfill({
      pool,
      loaded,
      runId,
      telemetry,
      signal,
      deadlineMs: Number.POSITIVE_INFINITY,
      ...(maxLoad === undefined ? {} : { maxLoad }),
      onProgress: () => show(false),
    });
    if (outcome !== 'finished') break;
  }
  await show(true);
  live.end();
  const text = {
    finished: 'The backfill is done.',
    paused: 'The backfill is paused; `lockstep backfill --resume` goes on.',
    'out of time': 'Stopped; `lockstep backfill` goes on from here.',
    fenced: 'The backfill has ended: the other direction is active now.',
  }[outcome];
  output.print({ event: 'backfill-ended', outcome }, text);
  return outcome === 'finished' ? 0 : 1;
}

/** @throws LockstepError LS_CONFIG */
function targetsOf(loaded: LoadedDirection, { target, forgetInFlight }: RunRequest): readonly string[] {
  const names = loaded.targets.map(({ name }) => name);
  const unknown = target?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new LockstepError('LS_CONFIG', `There is no target "${unknown}"; there are ${names.join(', ')}.`);
  }
  if (target && forgetInFlight) {
    throw new LockstepError('LS_CONFIG', 'With --forget-in-flight every target must be derived: leave --target out.');
  }
  return target ?? names;
}

async function enterRun(
  { signal, telemetry }: Context,
  pool: pg.Pool,
  loaded: LoadedDirection,
  targets: readonly string[],
  { forgetInFlight = false }: RunRequest,
): Promise<void> {
  const id = randomUUID();
  const onWaiting = (waitedMs: number) =>
    telemetry.log('warn', 'backfill.waits for transactions that are open; pg_stat_activity names them', { waitedMs });
  const forgetsUpToSeq = forgetInFlight
    ? await newestForgettable(pool, loaded.name, { clock: systemClock, signal, onWaiting })
    : undefined;
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await enterBackfill(client, loaded, {
      id,
      direction: loaded.name,
      reason: 'operator',
      targets,
      ...(forgetsUpToSeq !== undefined && { forgetsUpToSeq }),
    });
    await client.query('COMMIT');
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  }
}
