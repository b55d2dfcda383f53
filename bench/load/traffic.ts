import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** Changes of photos at a rate that may be changed at any time. */
export interface Traffic extends AsyncDisposable {
  perSecond: number;
  readonly committed: number;
  /** @throws the first error that a transaction has met. */
  check(): void;
  /** Sets the rate to 0, and waits for the transactions that are under way. */
  rest(): Promise<void>;
}

const clients = 16;
const perTransaction = 10;
/** Photos of a few projects, anywhere; locked in one order, so that two clients never wait for each other in a circle. */
const changeSql = `
  WITH chosen AS MATERIALIZED (
    SELECT id FROM photos WHERE id IN (SELECT md5('photo ' || n)::uuid FROM generate_series($1::int, $2::int) n)
    ORDER BY id FOR NO KEY UPDATE)
  UPDATE photos p SET file_size_bytes = $3 FROM chosen WHERE p.id = chosen.id`;

/** Open loop: each transaction has a moment at which it is due, whatever became of those before it, up to `clients` at once. */
export function startTraffic(url: string, photos: number): Traffic {
  const pool = new pg.Pool({ connectionString: url, max: clients, application_name: 'load' });
  pool.on('error', () => {});
  const stopping = new AbortController();
  const failures: unknown[] = [];
  let committed = 0;
  let dueMs = performance.now();
  let size = 1_000;
  const underWay = new Set<Promise<void>>();
  const traffic = { perSecond: 0 };
  const change = async () => {
    const first = 1 + Math.floor(Math.random() * (photos - perTransaction));
    await pool.query({ name: 'change', text: changeSql, values: [first, first + perTransaction - 1, size++] });
    committed += perTransaction;
  };
  const client = async () => {
    while (!stopping.signal.aborted) {
      if (traffic.perSecond === 0) {
        dueMs = performance.now();
        await delay(20);
        continue;
      }
      dueMs += (1_000 * perTransaction) / traffic.perSecond;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted || traffic.perSecond === 0) continue;
      const changing = change().catch((error: unknown) => void failures.push(error));
      underWay.add(changing);
      await changing;
      underWay.delete(changing);
    }
  };
  const working = Promise.all(Array.from({ length: clients }, client));
  return {
    get perSecond() {
      return traffic.perSecond;
    },
    set perSecond(value) {
      // What could not be done at the last rate is not made up for at this one.
      dueMs = Math.max(dueMs, performance.now());
      traffic.perSecond = value;
    },
    get committed() {
      return committed;
    },
    check() {
      if (failures.length > 0) throw failures[0];
    },
    async rest() {
      traffic.perSecond = 0;
      await Promise.all(underWay);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await working;
      await pool.end();
    },
  };
}
