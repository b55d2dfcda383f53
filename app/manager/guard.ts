/** What the guards raise on a side that is no longer the truth; a test compares it with the engine's. */
export const guardSqlState = 'LS001';

/** No such relation, no such column. */
const missing = new Set(['42P01', '42703']);
/** A deadlock's victim, and a serialization failure: rolled back as a whole, so the same work may be done again. */
const repeatable = new Set(['40P01', '40001']);

/** Thrown within a transaction that has met no guard, when the phase has turned. */
export class Turned extends Error {
  override readonly name = 'Turned';
}

export type WriteFailure = 'turned' | 'repeatable' | 'final';

/** The SQLSTATE of an error of the server. */
export function sqlStateOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

export function isMissing(error: unknown): boolean {
  return missing.has(sqlStateOf(error));
}

/** What a write that failed asks for; legacy tables and columns that are gone are the guard of a migration that is complete. */
export function writeFailure(error: unknown): WriteFailure {
  if (error instanceof Turned) return 'turned';
  const state = sqlStateOf(error);
  if (state === guardSqlState || isMissing(error)) return 'turned';
  return repeatable.has(state) ? 'repeatable' : 'final';
}
