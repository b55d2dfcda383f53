import type { Clock } from '../clock.ts';
import { type Queryable, textRows } from '../text-query.ts';

const snapshotSql = 'SELECT pg_current_snapshot()::text AS snapshot';

/**
 * Whether a transaction that has committed can be seen in a snapshot (`xmin:xmax:running,…`).
 *
 * @param xid its 32 bits, as pgoutput names it; the snapshot's numbers have 64.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */
export function visibleIn(snapshot: string, xid: number): boolean {
  const [, xmax, running] = snapshot.split(':');
  if (xmax === undefined || running === undefined) throw new RangeError(`not a snapshot: ${snapshot}`);
  const low = (text: string) => Number(BigInt(text) & 0xffff_ffffn);
  // Modulo 2^32: at or beyond xmax the transaction began after the snapshot was taken, as far as it knows.
  if (((low(xmax) - xid) | 0) <= 0) return false;
  return running === '' || !running.split(',').some((other) => low(other) === xid >>> 0);
}

const firstPauseMs = 1;
const longestPauseMs = 50;

/**
 * Waits until every one of these committed transactions can be seen by others.
 *
 * A commit is in the WAL, and sent to us, before it is visible: the server waits for its synchronous standbys in
 * between. A message that overtook its own change would be merged from the state before it, and no later event would
 * mend that. https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
 *
 * @throws whatever `signal` aborts with.
 */
export async function untilVisible(
  db: Queryable,
  xids: ReadonlySet<number>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let left = [...xids];
  for (let pauseMs = firstPauseMs; left.length > 0; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    const [row] = await textRows<{ snapshot: string }>(db, snapshotSql);
    left = left.filter((xid) => !visibleIn(row?.snapshot ?? '', xid));
    if (left.length === 0) return;
    signal.throwIfAborted();
    await clock.pauseMs(pauseMs);
  }
}
