import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { peopleActions } from './traffic/people.ts';
import { projectActions } from './traffic/projects.ts';
import { type Random, random } from './traffic/random.ts';
import { type Action, transact } from './traffic/transaction.ts';

export interface TrafficOptions {
  /** Of the application: it may write the legacy tables. As many connections as `clients` are used. */
  readonly pool: Pick<Pool, 'connect'>;
  readonly transactionsPerSecond: number;
  /** Connections that work at once. Default 4. */
  readonly clients?: number;
  /**
   * What transaction number n does depends on this, n and the rows it finds. Default 1. The ids of new rows come from it
   * as well, so a second run over the same data needs another seed.
   */
  readonly seed?: number;
  /** Told of each error that is not a lost race. */
  readonly onError?: (error: unknown) => void;
}

export interface TrafficCounts {
  /** Committed. */
  transactions: number;
  /** Rows changed by the statements of committed transactions; rows that a cascade deletes are not counted. */
  changes: number;
  /** Rolled back on purpose, or as the victim of a deadlock. */
  rolledBack: number;
  errors: number;
}

export interface Traffic extends AsyncDisposable {
  /** So far. */
  readonly counts: Readonly<TrafficCounts>;
  /** Starts no further transaction; resolves with the final counts when those under way have ended. */
  stop(): Promise<TrafficCounts>;
}

const actions: readonly Action[] = [...peopleActions, ...projectActions];
const totalWeight = actions.reduce((sum, { weight }) => sum + weight, 0);

/**
 * Users of PhotoMemory at work on the legacy tables. Transactions are due at even intervals whether or not earlier ones
 * have ended (open loop); when the database cannot keep up, the clients work without a pause.
 */
export function startTraffic(options: TrafficOptions): Traffic {
  const { transactionsPerSecond, clients = 4 } = options;
  const counts: TrafficCounts = { transactions: 0, changes: 0, rolledBack: 0, errors: 0 };
  const stopping = new AbortController();
  const startedAtMs = performance.now();
  let number = 0;
  const client = async () => {
    while (!stopping.signal.aborted) {
      const mine = number++;
      const dueInMs = startedAtMs + (mine * 1000) / transactionsPerSecond - performance.now();
      if (dueInMs > 0) await delay(dueInMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (!stopping.signal.aborted) await once(options, mine, counts);
    }
  };
  const working = transactionsPerSecond > 0 ? Promise.all(Array.from({ length: clients }, client)) : Promise.resolve();
  const stop = async () => {
    stopping.abort();
    await working;
    return counts;
  };
  return {
    counts,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

async function once({ pool, seed = 1, onError }: TrafficOptions, number: number, counts: TrafficCounts): Promise<void> {
  const dice = random(seed, number);
  try {
    const client = await pool.connect();
    let lost: Error | undefined;
    const onLost = (error: Error) => {
      lost = error;
    };
    client.on('error', onLost);
    try {
      const outcome = await transact(client, dice, () => chooseAction(dice));
      if (outcome.committed) {
        counts.transactions++;
        counts.changes += outcome.changes;
      } else {
        counts.rolledBack++;
      }
    } finally {
      client.off('error', onLost);
      client.release(lost);
    }
  } catch (error) {
    if (lostRace(error)) {
      counts.rolledBack++;
      return;
    }
    counts.errors++;
    onError?.(error);
  }
}

/** Two clients wanted the same rows: a deadlock, or the row that a foreign key needs was deleted a moment ago. */
function lostRace(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === '40P01' || code === '23503';
}

function chooseAction({ below }: Random): Action {
  let left = (below(1_000_000) / 1_000_000) * totalWeight;
  for (const action of actions) {
    left -= action.weight;
    if (left < 0) return action;
  }
  return actions[0] as Action;
}
