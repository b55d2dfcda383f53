import pg from 'pg';
import { type ErrorCode, LockstepError } from '../errors.ts';
import type { StepFile } from './folder.ts';
import type { Statement } from './script.ts';

/** Longest part of a statement that an error repeats, in characters. */
const excerptLength = 160;

/**
 * What PostgreSQL said of a statement, with file, line and the statement. PostgreSQL's DETAIL is left out: it quotes
 * row data (https://www.postgresql.org/docs/current/protocol-error-fields.html).
 */
export function stepFailure(code: ErrorCode, step: StepFile, statement: Statement, error: unknown): LockstepError {
  const said = error instanceof Error ? error.message : String(error);
  const sqlstate = error instanceof pg.DatabaseError ? ` (SQLSTATE ${error.code})` : '';
  const hint = error instanceof pg.DatabaseError && error.hint ? ` Hint: ${error.hint}` : '';
  return new LockstepError(
    code,
    `${step.path} line ${failingLine(statement, error)}: ${said}${sqlstate}.${hint} Statement: ${excerpt(statement.text)}`,
    { cause: error },
  );
}

/** The error's position counts characters of the statement, from 1. */
function failingLine(statement: Statement, error: unknown): number {
  const position = error instanceof pg.DatabaseError ? Number(error.position ?? 1) : 1;
  return statement.line + statement.text.slice(0, position - 1).split('\n').length - 1;
}

function excerpt(text: string): string {
  const oneLine = text.replace(/\s+/g, ' ');
  return oneLine.length > excerptLength ? `${oneLine.slice(0, excerptLength)} …` : oneLine;
}
