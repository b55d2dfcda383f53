/** What the guards raise on a side that is no longer the truth; a test compares it with the engine's. */
export const guardSqlState = 'LS001';

const relationMissing = '42P01';
/** A deadlock's victim, and a serialization failure: rolled back as a whole, so the same work may be done again. */
const repeatable = new Set(['40P01', '40001']);

/** Thrown within a transaction that has written nothing, and so has met no guard, when the phase has turned. */
export class Turned extends Error {
  override readonly name = 'Turned';
}

export type WriteFailure = 'turned' | 'repeatable' | 'final';

/** The SQLSTATE of an error of the server. */
export function sqlStateOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** What a write that failed asks for; a legacy table that is gone is the guard of a migration that is complete. */
export function writeFailure(error: unknown): WriteFailure {
  if (error instanceof Turned) return 'turned';
  const state = sqlStateOf(error);
  if (state === guardSqlState || state === relationMissing) return 'turned';
  return repeatable.has(state) ? 'repeatable' : 'final';
}
