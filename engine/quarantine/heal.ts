import type pg from 'pg';
import { doWork, noCounts, type WorkContext } from '../apply/work.ts';
import { type ScopeRef, targetNamed } from '../merge/scopes.ts';

const oldestSql = `
  SELECT target, scope FROM lockstep.quarantine
  WHERE direction = $1 AND last_failed_at < clock_timestamp() - $2 * interval '1 millisecond'
  ORDER BY last_failed_at LIMIT $3`;

export const healEveryMs = 30_000;
const restMs = 60_000;
const atOnce = 20;

/**
 * Merges a few of the longest quarantined scopes again. Most leave quarantine by the event of the change that mends
 * them; not so a scope whose refused row was deleted (the event of a delete names the row's key only, and the target,
 * which has never had the row, does not know its scope) or one that another table mends (a plan that was added).
 *
 * @returns how many were tried.
 * @throws errors that no repetition mends (SQLSTATE policy `stop`).
 */
export async function healSome(context: WorkContext, deadlineMs: number): Promise<number> {
  const { pool, loaded } = context;
  const { rows } = await (pool as Pick<pg.Pool, 'query'>).query<{ target: string; scope: string[] }>(oldestSql, [
    loaded.name,
    restMs,
    atOnce,
  ]);
  const known = new Set(loaded.targets.map(({ name }) => name));
  const scopes: ScopeRef[] = rows
    .filter(({ target }) => known.has(target))
    .map(({ target, scope }) => ({ target: targetNamed(loaded, target), scope }));
  if (scopes.length === 0) return 0;
  scopes.sort((a, b) => a.target.ordinal - b.target.ordinal);
  await doWork(context, { rows: new Map() }, [], deadlineMs, noCounts(), { scopes, extensions: 0 });
  return scopes.length;
}
