import type { Pool } from 'pg';
import type { DevTraffic } from '../engine/migration/dev.ts';
import { pacedTraffic, type TrafficTally } from '../engine/migration/traffic.ts';
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

export interface Traffic extends DevTraffic, AsyncDisposable {}

const actions: readonly Action[] = [...peopleActions, ...projectActions];
const totalWeight = actions.reduce((sum, { weight }) => sum + weight, 0);

/** Users of PhotoMemory at work on the legacy tables, at even intervals (see `pacedTraffic`). */
export function startTraffic(options: TrafficOptions): Traffic {
  const { transactionsPerSecond, clients = 4 } = options;
  const once = (number: number, counts: TrafficTally) => work(options, number, counts);
  const traffic = pacedTraffic({ transactionsPerSecond, clients, once });
  return {
    ...traffic,
    async [Symbol.asyncDispose]() {
      await traffic.stop();
    },
  };
}

async function work({ pool, seed = 1, onError }: TrafficOptions, number: number, counts: TrafficTally): Promise<void> {
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
