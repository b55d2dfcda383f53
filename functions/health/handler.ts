import type { Clock } from '../../engine/clock.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import type { WalSample } from '../../engine/status/health.ts';
import { readPhase } from '../../engine/status/phase.ts';
import { readStatus } from '../../engine/status/status.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import type { Queryable } from '../../engine/text-query.ts';
import { statusMetrics } from '../../infra/contract.ts';
import { readFacts } from './facts.ts';
import { type Look, lookOf, metricsOf } from './metrics.ts';
import { queryP95Ms, readStatements, type Statements } from './response-time.ts';

export interface HealthOptions {
  readonly db: Queryable;
  readonly migration: Migration;
  readonly telemetry: Telemetry;
  readonly clock: Pick<Clock, 'nowMs'>;
}

/**
 * A look at the state of the migration, published as metrics and returned by metric name. Rates and stand-stills need
 * two looks, so each keeps what the next one compares with. After the migration is complete there is nothing to watch.
 *
 * @throws LockstepError LS_NOT_MIGRATED
 */
export function createHealth({
  db,
  migration,
  telemetry,
  clock,
}: HealthOptions): () => Promise<Record<string, number>> {
  let look: Look | undefined;
  let sample: WalSample | undefined;
  let statements: Statements | undefined;
  const publish = (metrics: Record<string, number>) => {
    for (const [name, value] of Object.entries(metrics)) telemetry.measure(name, value);
    return metrics;
  };
  return async () => {
    const direction = await readPhase(db);
    if (direction === 'complete') return publish({ [statusMetrics.published]: 1 });
    const answer = await readStatus(db, direction, sample);
    const targets = migration[direction]?.targets.map(({ name }) => name) ?? [];
    const facts = await readFacts(db, direction, targets);
    const now = await readStatements(db);
    const p95 = statements && now && queryP95Ms(statements, now);
    const { status } = answer;
    const seen = { status, facts, nowMs: clock.nowMs(), before: look, queryP95Ms: p95 };
    const metrics = metricsOf(seen);
    look = lookOf(seen);
    sample = answer.sample;
    statements = now;
    for (const { level, text } of status.findings) {
      telemetry.log(level === 'broken' ? 'error' : 'warn', 'status.finding', { text });
    }
    return publish(metrics);
  };
}
