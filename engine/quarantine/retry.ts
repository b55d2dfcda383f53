import type pg from 'pg';
import { defaultLimits } from '../apply/limits.ts';
import { doWork, noCounts } from '../apply/work.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type ScopeRef, targetNamed } from '../merge/scopes.ts';
import type { LoadedDirection } from '../migration/load.ts';
import type { Telemetry } from '../telemetry.ts';
import { listQuarantine } from './quarantine.ts';

export interface RetryOptions {
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly telemetry: Telemetry;
  /** Epoch. */
  readonly deadlineMs: number;
  readonly clock?: Clock;
}

/**
 * Merges every quarantined scope again; those that succeed leave quarantine.
 *
 * @returns how many were tried, and how many remain.
 * @throws errors that no repetition mends (SQLSTATE policy `stop`).
 */
export async function retryQuarantined(
  options: RetryOptions,
): Promise<{ tried: number; remaining: number; outcome: 'done' | 'fenced' | 'out of time' }> {
  const { pool, loaded, telemetry } = options;
  const everything = 1_000_000;
  const before = await listQuarantine(pool, loaded.name, everything);
  const known = new Set(loaded.targets.map(({ name }) => name));
  const scopes: ScopeRef[] = before
    .filter(({ target }) => known.has(target))
    .map(({ target, scope }) => ({ target: targetNamed(loaded, target), scope }))
    .sort((a, b) => a.target.ordinal - b.target.ordinal);
  let outcome: 'done' | 'fenced' | 'out of time' = 'done';
  if (scopes.length > 0) {
    const context = {
      pool,
      loaded,
      telemetry,
      limits: defaultLimits,
      failpoints: () => {},
      clock: options.clock ?? systemClock,
    };
    const result = await doWork(context, { rows: new Map() }, [], options.deadlineMs, noCounts(), {
      scopes,
      extensions: 0,
    });
    if (result.kind === 'fenced' || result.kind === 'out of time') outcome = result.kind;
  }
  return { tried: scopes.length, remaining: (await listQuarantine(pool, loaded.name, everything)).length, outcome };
}
