import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Random, randomFrom } from '../../engine/random.ts';
import { sqlState } from '../../engine/sqlstate.ts';
import { startTraffic } from '../../sql/traffic.ts';
import { photomemoryWorld } from '../property/photomemory.ts';
import { transact } from '../property/transaction.ts';
import { databaseName, type Machine } from './machine.ts';

const writers = 3;
/** Beside the writers, who fight over a few rows: users who work on all of them. */
const trafficPerSecond = 20;

/** Something that no log may show. */
export const privateText = 'private-name-of-a-photo.jpg';

const many = (random: Random) =>
  random.pick([
    // A transaction of many rows, in many shards.
    `UPDATE photos SET original_filename = '${privateText}', updated_at = now() WHERE id >= gen_random_uuid()`,
    'UPDATE photos SET upload_order = upload_order + 1 WHERE project_id IN (SELECT id FROM video_projects WHERE id >= gen_random_uuid() LIMIT 5)',
    // Not the markers.
    `UPDATE users SET subscription_plan = 'pro' WHERE id >= gen_random_uuid() AND email LIKE 'user%'`,
  ]);

export interface Workload {
  /** Transactions that have committed. */
  stop(): Promise<number>;
}

/** The legacy application at work, through every outage of the server. Its own connections meet no other fault. */
export function startWorkload(machine: Machine, seed: number): Workload {
  const stopping = new AbortController();
  let committed = 0;
  const errors: unknown[] = [];
  const write = async (index: number) => {
    const random = randomFrom(seed * 17 + index);
    const statement = (one: Random) => (one.chance(0.02) ? many(one) : photomemoryWorld.statement(one));
    while (!stopping.signal.aborted) {
      const client = new pg.Client({ connectionString: machine.server.url(databaseName), application_name: 'writer' });
      client.on('error', () => {});
      try {
        await client.connect();
        while (!stopping.signal.aborted) {
          if ((await transact(client, statement, random)) === 'committed') committed += 1;
          await delay(random.integer(20));
        }
      } catch (error) {
        if (!isOutage(error)) {
          errors.push(error);
          return;
        }
        await delay(20);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  };
  const writing = Array.from({ length: writers }, (_, index) => write(index));
  const traffic = startTraffic({ pool: machine.pool, transactionsPerSecond: trafficPerSecond, clients: 2, seed });
  return {
    async stop() {
      stopping.abort();
      await Promise.all(writing);
      const { transactions } = await traffic.stop();
      if (errors.length > 0) throw errors[0];
      return committed + transactions;
    },
  };
}

/** The server is away, or was a moment ago. */
export function isOutage(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return /^(57P|08)/.test(state);
  const { code, message } = error as { code?: string; message?: string };
  return /^E[A-Z]+$/.test(code ?? '') || /Connection terminated|connection error|not queryable/.test(message ?? '');
}
