import type pg from 'pg';
import { z } from 'zod';
import { LockstepError } from '../../engine/errors.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { readPhase } from '../../engine/status/phase.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { reportPage } from '../../engine/validate/page/page.ts';
import type { ValidationReport, Verdict } from '../../engine/validate/report.ts';
import { validate } from '../../engine/validate/validate.ts';
import { upkeepFailed } from '../../infra/contract.ts';
import type { ReportStore } from '../../infra/reports/store.ts';

/**
 * What a schedule asks for. `counts`: the migration's counts, in seconds. `rows`: a full pass, or the part of it that
 * fits into this invocation; the next one goes on. `upkeep`: what the migration wants done now and then.
 */
const eventSchema = z.object({ task: z.enum(['counts', 'rows', 'upkeep']) });
export type ValidateTask = z.infer<typeof eventSchema>['task'];

export interface ValidateHandlerOptions {
  readonly pool: pg.Pool;
  readonly migration: Migration;
  readonly reports: ReportStore;
  readonly telemetry: Telemetry;
}

/** What the handler needs to know of its invocation. */
export interface Invocation {
  getRemainingTimeInMillis(): number;
}

export interface ValidateAnswer {
  readonly task: ValidateTask;
  /** Null for `upkeep`, and when the migration is complete and nothing is left to compare. */
  readonly verdict: Verdict | null;
  /** False: invoke again, to go on. */
  readonly complete: boolean;
}

export type ValidateHandler = (event: unknown, invocation: Invocation) => Promise<ValidateAnswer>;

/** Time kept for the report, and for a proof that is just being made. */
const reserveMs = 20_000;

/**
 * The scheduled function. Throws LS_CONFIG for an event that it does not know, LS_REPORT_UNWRITABLE, LS_UPKEEP_FAILED,
 * and what `validate` throws, so that the invocation counts as failed.
 */
export function createValidateHandler(options: ValidateHandlerOptions): ValidateHandler {
  return async (event, invocation) => {
    const parsed = eventSchema.safeParse(event);
    if (!parsed.success) {
      throw new LockstepError(
        'LS_CONFIG',
        'The event has no "task" of counts, rows or upkeep; the schedule\'s input names it.',
      );
    }
    const { task } = parsed.data;
    if (task === 'upkeep') {
      await doUpkeep(options);
      return { task, verdict: null, complete: true };
    }
    const remainingMs = invocation.getRemainingTimeInMillis();
    const deadlineMs = Date.now() + Math.max(remainingMs - reserveMs, remainingMs / 2);
    const report = await compare(options, task, deadlineMs);
    if (!report) return { task, verdict: null, complete: true };
    tell(options.telemetry, report);
    await keep(options, task, report);
    return { task, verdict: report.verdict, complete: report.complete };
  };
}

async function compare(
  { pool, migration, telemetry }: ValidateHandlerOptions,
  task: 'counts' | 'rows',
  deadlineMs: number,
): Promise<ValidationReport | undefined> {
  const phase = await readPhase(pool);
  if (phase === 'complete') return undefined;
  const direction = migration[phase];
  if (!direction)
    throw new LockstepError('LS_MIGRATION_INVALID', `"${migration.name}" declares no ${phase} direction.`);
  const loaded = await loadDirection(pool, phase, direction);
  return validate({ pool, loaded, telemetry, deadlineMs, resume: true, countsOnly: task === 'counts' });
}

/** Alarms are raised on these; infra's telemetry makes metrics of them. */
function tell(telemetry: Telemetry, { run, verdict, reasons, complete }: ValidationReport): void {
  telemetry.measure('validate_failed', verdict === 'differs' ? 1 : 0);
  telemetry.measure('validate_unproved', verdict === 'unproven' && complete ? 1 : 0);
  telemetry.measure('validate_finished', complete ? 1 : 0);
  telemetry.log(verdict === 'differs' ? 'error' : 'info', 'validation', { run, verdict, complete, reasons });
}

async function keep(
  { migration, reports }: ValidateHandlerOptions,
  task: string,
  report: ValidationReport,
): Promise<void> {
  const json = JSON.stringify(report);
  const page = reportPage(report, migration.name);
  const names = [`${migration.name}/${task}/${report.startedAt.slice(0, 10)}/${report.run}`];
  if (report.complete) names.push(`${migration.name}/${task}/latest`);
  for (const name of names) {
    await reports.put(`${name}.json`, json, 'application/json');
    await reports.put(`${name}.html`, page, 'text/html; charset=utf-8');
  }
}

async function doUpkeep({ pool, migration, telemetry }: ValidateHandlerOptions): Promise<void> {
  const failed: string[] = [];
  for (const [title, statement] of Object.entries(migration.upkeep ?? {})) {
    try {
      await pool.query(statement);
    } catch (error) {
      failed.push(title);
      telemetry.log('error', 'upkeep failed', { title, reason: String(error) });
    }
  }
  telemetry.measure(upkeepFailed, failed.length);
  if (failed.length > 0) throw new LockstepError('LS_UPKEEP_FAILED', `Upkeep failed: ${failed.join(', ')}.`);
}
