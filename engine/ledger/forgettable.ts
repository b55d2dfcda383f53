import type { Clock } from '../clock.ts';
import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

// Its own number is above that of every transaction which has written by now; the snapshot's xmax may not be: it is that of
// the first which runs after the last one that has ended. https://www.postgresql.org/docs/current/functions-info.html
const newestSql = `
  SELECT (SELECT coalesce(max(seq), 0) FROM lockstep.in_flight WHERE direction = $1) AS seq,
         pg_current_xact_id() AS horizon`;
const passedSql = 'SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 AS passed';

const pollMs = 50;
const tellEveryMs = 5_000;

/**
 * The newest message whose changes can be seen by whoever derives from now on, and that may therefore be struck out when
 * everything is derived. A message is entered as soon as its change is in the WAL; the change can be seen only when its
 * transaction has left the list of running ones. So this waits for all that ran when the ledger was read.
 *
 * @param onWaiting told again and again while a long transaction holds this up.
 * @throws the signal's reason.
 */
export async function newestForgettable(
  db: Queryable,
  direction: DirectionName,
  { clock, signal, onWaiting }: { clock: Clock; signal: AbortSignal; onWaiting: (waitedMs: number) => void },
): Promise<string> {
  const [newest] = await textRows<{ seq: string; horizon: string }>(db, newestSql, [direction]);
  const { seq, horizon } = newest ?? { seq: '0', horizon: '0' };
  const startedMs = clock.nowMs();
  let toldMs = startedMs;
  for (;;) {
    const [row] = await textRows<{ passed: string }>(db, passedSql, [horizon]);
    if (row?.passed === 't') return seq;
    signal.throwIfAborted();
    await clock.pauseMs(pollMs);
    if (clock.nowMs() - toldMs < tellEveryMs) continue;
    toldMs = clock.nowMs();
    onWaiting(toldMs - startedMs);
  }
}
