import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Failpoints } from '../failpoint.ts';
import { enter, type Tenure } from '../ledger/entries.ts';
import { backfillsNotBegun } from '../ledger/first-start.ts';
import type { Publisher } from '../message/message.ts';
import type { Direction, DirectionName } from '../migration/contract.ts';
import type { Queryable } from '../text-query.ts';
import type { Folded } from './fold.ts';
import { backfillMessage, packRound } from './round.ts';
import { untilVisible } from './visibility.ts';

export interface SendContext {
  readonly db: Queryable;
  readonly tenure: Tenure;
  readonly directionName: DirectionName;
  readonly direction: Direction;
  readonly publisher: Publisher;
  readonly failpoints: Failpoints;
  readonly clock: Clock;
  /** Aborts the sending: the stream is broken, or time is up. */
  readonly signal: AbortSignal;
}

/**
 * Sends what was folded: ledger first, then, as soon as the changes can be seen by others, the queue. When it returns, everything has been accepted and the position
 * may be confirmed; when it throws, some of it may have been, and all of it will be read again.
 */
export async function sendRound(folded: Folded, context: SendContext): Promise<{ ids: readonly string[] }> {
  const parcels = packRound(folded, { ...context, newId: randomUUID });
  if (parcels.length === 0) {
    await untilVisible(context.db, folded.xids, context.clock, context.signal);
    return { ids: [] };
  }
  const entries = parcels.map((parcel) => parcel.entry);
  await enter(context.db, context.tenure, entries);
  await context.failpoints('listener.ledger-written');
  await untilVisible(context.db, folded.xids, context.clock, context.signal);
  await context.publisher.publish(
    parcels.map((parcel) => parcel.message),
    context.signal,
  );
  await context.failpoints('listener.messages-sent');
  return { ids: entries.map(({ id }) => id) };
}

/**
 * Sends the backfills that are entered and that nobody has begun: the first start's, and those whose listener was killed
 * between ledger and queue. One that is in the queue already is dropped there or skipped by the applier: same id.
 *
 * @param newId for deduplication: where a message is known to be lost, the queue would take it for one that it has had.
 */
export async function sendBackfills(context: SendContext, newId?: () => string): Promise<number> {
  const { db, directionName, direction, publisher, signal } = context;
  const targets = direction.targets.map((target) => target.name);
  const messages = (await backfillsNotBegun(db, directionName)).map(({ id, again }) => ({
    ...backfillMessage(directionName, { id, reason: again ? 'slot lost' : 'first start', targets }),
    ...(newId && { deduplicationId: newId() }),
  }));
  if (messages.length > 0) await publisher.publish(messages, signal);
  return messages.length;
}
