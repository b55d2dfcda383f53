import { setTimeout as delay } from 'node:timers/promises';
import type { DevTraffic, DevTrafficCounts, DevTrafficOptions } from './dev.ts';

export type TrafficTally = { -readonly [name in keyof DevTrafficCounts]: DevTrafficCounts[name] };

export interface PacedTraffic {
  readonly transactionsPerSecond: number;
  /** How many work at once. Default 4. */
  readonly clients?: number;
  /** Transaction number `number`, from 0; enters in `tally` how it went, and does not throw. */
  once(number: number, tally: TrafficTally): Promise<void>;
}

/**
 * Transactions that are due at even intervals whether or not earlier ones have ended (open loop); when the database
 * cannot keep up, the clients work without a pause.
 */
export function pacedTraffic({ transactionsPerSecond, clients = 4, once }: PacedTraffic): DevTraffic {
  const counts: TrafficTally = { transactions: 0, changes: 0, rolledBack: 0, errors: 0 };
  const stopping = new AbortController();
  const startedAtMs = performance.now();
  let number = 0;
  const client = async () => {
    while (!stopping.signal.aborted) {
      const mine = number++;
      const dueInMs = startedAtMs + (mine * 1000) / transactionsPerSecond - performance.now();
      if (dueInMs > 0) await delay(dueInMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (!stopping.signal.aborted) await once(mine, counts);
    }
  };
  const working = transactionsPerSecond > 0 ? Promise.all(Array.from({ length: clients }, client)) : Promise.resolve();
  return {
    counts,
    async stop() {
      stopping.abort();
      await working;
      return counts;
    },
  };
}

/**
 * Traffic of single statements, for a migration whose application needs no more: `statements` are run in turn, each as
 * often as the next, and choose their rows themselves (`random()` of SQL). One that the schema refuses (class 23, or as
 * the victim of a deadlock) counts as rolled back, as an application would take it.
 */
export function statementTraffic(options: DevTrafficOptions, statements: readonly [string, ...string[]]): DevTraffic {
  const { pool, transactionsPerSecond, onError } = options;
  return pacedTraffic({
    transactionsPerSecond,
    async once(number, tally) {
      try {
        const { rowCount } = await pool.query(statements[number % statements.length] ?? statements[0]);
        tally.transactions += 1;
        tally.changes += rowCount ?? 0;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code?.startsWith('23') || code === '40P01') {
          tally.rolledBack += 1;
          return;
        }
        tally.errors += 1;
        onError(error);
      }
    },
  });
}
