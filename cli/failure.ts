import { LockstepError, type RetryPolicy } from '../engine/errors.ts';
import { sqlState } from '../engine/sqlstate.ts';
import { isDatabaseLost } from '../infra/postgres/explain.ts';
import type { Output } from './output.ts';
import { painterOf } from './text/paint.ts';

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly meaning: string;
  readonly retry: RetryPolicy;
  readonly remedy: string;
  readonly exitCode: 1 | 2;
}

/** Says what happened, what it means for the data and what to do; returns the exit code. */
export function fail(output: Output, error: unknown): 1 | 2 {
  const { exitCode, ...failure } = describeFailure(error);
  const message = painterOf(process.stderr)('bad', failure.message);
  const text = `${message}\n  For the data:  ${failure.meaning}\n  Do this:       ${failure.remedy}\n  (${failure.code})`;
  output.complain({ event: 'error', ...failure }, text);
  if (process.env.LOCKSTEP_DEBUG && error instanceof Error) process.stderr.write(`${redact(stackOf(error))}\n`);
  return exitCode;
}

/** A failure of another process of ours, as that one described it. */
export class ReportedFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export function describeFailure(failed: unknown): Failure {
  if (failed instanceof ReportedFailure) return failed.failure;
  const error = isDatabaseLost(failed) ? databaseLost(failed) : failed;
  if (error instanceof LockstepError) {
    return { code: error.code, message: redact(error.message), ...error.entry };
  }
  const said = redact(error instanceof Error ? error.message : String(error));
  const state = sqlState(error);
  return {
    code: 'LS_UNEXPECTED',
    message:
      state === undefined ? `Unexpected: ${said}` : `Unexpected answer of PostgreSQL: ${said} (SQLSTATE ${state})`,
    meaning:
      'Every transaction that had committed is kept, and every other one was rolled back; synchronization can go on.',
    retry: 'later',
    remedy: 'Run it again. If it stays, set LOCKSTEP_DEBUG=1, which adds the stack trace, and report it.',
    exitCode: 2,
  };
}

function databaseLost(cause: Error): LockstepError {
  const message = `The database went away in the middle of the command: ${cause.message}.`;
  return new LockstepError('LS_DATABASE_LOST', message, { cause });
}

/** A URL loses its password. */
export function redact(text: string): string {
  return text.replace(/(\/\/[^\s:/@]*):[^\s/]*@/g, '$1:***@');
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackOf(error.cause)}` : stack;
}
