import type pg from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import { withConnection } from '../connection.ts';
import { LockstepError } from '../errors.ts';
import type { Failpoints } from '../failpoint.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { forgetValidated } from '../phases/touched.ts';
import { readPhase } from '../status/phase.ts';
import type { Telemetry } from '../telemetry.ts';
import { passBarrier } from '../wait/barrier.ts';
import { readListings, runChecks } from './checks.ts';
import { defaultFirstChunkScopes } from './chunks.ts';
import { type PassContext, passTarget } from './pass.ts';
import { readRun, readTargets, readTrend } from './read-report.ts';
import { openRun, recordConclusion } from './record.ts';
import { repairDrift } from './repair.ts';
import { type CheckResult, type Repair, reportVersion, type TargetReport, type ValidationReport } from './report.ts';
import { judge } from './verdict.ts';

export interface ValidateOptions {
  /** At least 3 connections: a proof holds one while it waits on another. */
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly telemetry: Telemetry;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly failpoints?: Failpoints;
  /** Names; default: all targets, and the migration's checks. */
  readonly targets?: readonly string[];
  /** The migration's counts only: no rows, no rules. */
  readonly countsOnly?: boolean;
  /** Above 0 and below 100: so many of a hundred scopes, chosen anew by each run. Default: all. */
  readonly samplePercent?: number;
  /** Merge what has drifted, and compare it again. */
  readonly repair?: boolean;
  /** Epoch. What is not done by then is left to an invocation with `resume`. Default: never. */
  readonly deadlineMs?: number;
  /** Go on with the last run of the same kind that has not ended. */
  readonly resume?: boolean;
  /** How long to wait until what was committed before is applied. Default 60,000. */
  readonly barrierTimeoutMs?: number;
  /** How long merges of suspected scopes may be made to wait by one proof. Default 2,000. */
  readonly holdMs?: number;
  readonly rowsPerSecond?: number;
  /** Active sessions of the application above which the run holds back. */
  readonly maxLoad?: number;
  /** Later ones are as large as fits their time. Default 2,000. */
  readonly firstChunkScopes?: number;
  /** How often the run's position is recorded. Default 5,000. */
  readonly checkpointMs?: number;
  /** Called after each chunk with the target's name and its rows that this invocation has compared. */
  readonly onProgress?: (target: string, compared: number) => void;
}

/**
 * Compares every row of every target with its view, while changes go on: a difference counts only when it is proved
 * that no change on its way explains it. Then the migration's own checks. The run is kept in the database and can be
 * killed at any moment.
 *
 * @throws LockstepError LS_CONFIG for an unknown target or a sample out of range; LS_SLOT_MISSING and LS_SLOT_LOST when
 * nothing is captured, so that nothing can be proved; errors that no repetition mends.
 */
export async function validate(options: ValidateOptions): Promise<ValidationReport> {
  const { pool, loaded, samplePercent, signal } = options;
  const clock = options.clock ?? systemClock;
  const startedMs = clock.nowMs();
  const deadlineMs = options.deadlineMs ?? Number.POSITIVE_INFINITY;
  const targets = chosenTargets(loaded, options);
  const timeoutMs = Math.min(options.barrierTimeoutMs ?? 60_000, deadlineMs - startedMs);
  const barrier = await passBarrier({ db: pool, direction: loaded.name, timeoutMs, clock, ...(signal && { signal }) });
  const run = await withConnection(pool, (client) =>
    openRun(client, loaded, targets, samplePercent, options.resume ?? false),
  );
  const context: PassContext = {
    pool,
    loaded,
    telemetry: options.telemetry,
    clock,
    run,
    signal,
    holdMs: options.holdMs ?? 2_000,
    deadlineMs,
    failpoints: options.failpoints ?? (() => {}),
    rowsPerSecond: options.rowsPerSecond,
    maxLoad: options.maxLoad,
    firstChunkScopes: options.firstChunkScopes ?? defaultFirstChunkScopes,
    checkpointMs: options.checkpointMs ?? 5_000,
    onProgress: options.onProgress ?? (() => {}),
  };
  const work = barrier.applied ? await doLevels(context, targets, options) : nothingDone;
  const spentMs = clock.nowMs() - startedMs;
  const lagMs = barrier.applied ? barrier.waitedMs : null;
  return conclude(context, { ...work, caughtUp: barrier.applied, lagMs, spentMs });
}

interface Work {
  readonly complete: boolean;
  readonly checks: readonly CheckResult[];
  readonly repair: Repair | null;
}

const nothingDone: Work = { complete: false, checks: [], repair: null };

function chosenTargets(loaded: LoadedDirection, options: ValidateOptions): LoadedTarget[] {
  const { targets: names, samplePercent, countsOnly } = options;
  if (samplePercent !== undefined && !(samplePercent > 0 && samplePercent < 100)) {
    throw new LockstepError(
      'LS_CONFIG',
      `A sample of ${samplePercent} % cannot be taken; it must be above 0 and below 100.`,
    );
  }
  const unknown = names?.find((name) => !loaded.targets.some((target) => target.name === name));
  if (unknown !== undefined) {
    const known = loaded.targets.map(({ name }) => name).join(', ');
    throw new LockstepError(
      'LS_CONFIG',
      `There is no target "${unknown}" in the ${loaded.name} direction; there are ${known}.`,
    );
  }
  return countsOnly ? [] : loaded.targets.filter(({ name }) => names?.includes(name) ?? true);
}

/** Rows, repair, then the migration's checks, which are about everything and so only asked when all was compared. */
async function doLevels(
  context: PassContext,
  targets: readonly LoadedTarget[],
  options: ValidateOptions,
): Promise<Work> {
  for (const target of targets) {
    if (!(await passTarget(context, target))) return nothingDone;
  }
  const repair = options.repair && targets.length > 0 ? await repairDrift(context) : null;
  if (repair?.outcome === 'out of time') return { ...nothingDone, repair };
  const { counts, rules } = options.targets === undefined ? context.loaded.checks : {};
  const counted = counts === undefined ? [] : await runChecks(context, 'counts', counts);
  const ruled = rules === undefined || options.countsOnly ? [] : await runChecks(context, 'rules', rules);
  if (!counted || !ruled) return { ...nothingDone, repair };
  return { complete: true, checks: [...counted, ...ruled], repair };
}

interface Invocation extends Work {
  readonly caughtUp: boolean;
  readonly lagMs: number | null;
  readonly spentMs: number;
}

async function conclude(
  context: PassContext,
  { complete, checks, repair, ...invocation }: Invocation,
): Promise<ValidationReport> {
  const { pool, run, loaded, telemetry } = context;
  const targets = await readTargets(pool, run, loaded);
  const fenced = (await readPhase(pool)) !== loaded.name;
  const { caughtUp, lagMs, spentMs } = invocation;
  const { verdict, reasons } = judge({ caughtUp, complete, fenced, targets, checks });
  const rowsDrifted = driftedRows(targets);
  const rowsQuarantined = targets.reduce((sum, { quarantined }) => sum + quarantined.differingRows, 0);
  await recordConclusion(pool, run, {
    spentMs,
    lagMs,
    verdict,
    rowsDrifted,
    rowsQuarantined,
    checks,
    repair,
    finished: complete,
  });
  const everything = run.samplePercent === undefined && run.targets.length === loaded.targets.length;
  if (complete && everything && verdict === 'agrees') await forgetValidated(pool, run.id);
  telemetry.measure('validate_rows_drifted', rowsDrifted);
  telemetry.measure(
    'validate_scopes_unsettled',
    targets.reduce((sum, { unsettled }) => sum + unsettled.scopes, 0),
  );
  telemetry.measure('validate_duration_ms', spentMs);
  return {
    version: reportVersion,
    run: run.id,
    direction: run.direction,
    ...(await readRun(pool, run)),
    agrees: verdict === 'agrees',
    verdict,
    reasons,
    complete,
    lag: { applied: caughtUp, barrierMs: lagMs },
    targets,
    checks: [...checks],
    listings: await readListings(pool, loaded.checks),
    trend: await readTrend(pool, run.direction),
  };
}

/** Rows that have drifted and are not repaired, of all targets. */
function driftedRows(targets: readonly TargetReport[]): number {
  return targets.reduce(
    (sum, { missing, extra, different, repaired }) => sum + missing + extra + different - repaired,
    0,
  );
}
