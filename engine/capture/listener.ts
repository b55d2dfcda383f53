import type pg from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import type { Failpoints } from '../failpoint.ts';
import { withLedgerConnection } from '../ledger/connection.ts';
import { heartbeat } from '../ledger/entries.ts';
import { takeOver } from '../ledger/take-over.ts';
import { formatLsn } from '../lsn.ts';
import type { Publisher } from '../message/message.ts';
import type { Direction, DirectionName } from '../migration/contract.ts';
import { mayBeActiveAt, settleChanges } from '../phases/position.ts';
import type { Telemetry } from '../telemetry.ts';
import { Bell } from './bell.ts';
import { Fold } from './fold.ts';
import { Lanes } from './lanes.ts';
import { defaultListenerLimits, type ListenerLimits } from './limits.ts';
import { LostMessages } from './lost-messages.ts';
import { publicationName } from './names.ts';
import { isFull, Pace } from './pace.ts';
import { readerInto } from './reader.ts';
import { type SendContext, sendBackfills, sendRound } from './send.ts';
import { readSlot, slotBusy } from './slot.ts';
import type { ReplicationStream } from './stream.ts';
import { type Preflight, preflight, type TakenSlot, takeSlot } from './take-slot.ts';

export interface ListenerOptions {
  /** Straight to the server, as a role with REPLICATION. */
  readonly replication: pg.ClientConfig;
  /** One connection of it is held, for the catalogs and the ledger. */
  readonly pool: pg.Pool;
  readonly directionName: DirectionName;
  readonly direction: Direction;
  readonly publisher: Publisher;
  readonly telemetry: Telemetry;
  /** How many groups the queue has; see `shardOf`. */
  readonly shards: number;
  /** Aborted: the round in hand is finished and confirmed, then the slot is given back. */
  readonly signal: AbortSignal;
  /** Wait for the slot while another listener has it, instead of refusing to start. */
  readonly standby?: boolean;
  /**
   * Ask for a slot that follows a failover (PostgreSQL 17 and newer). Only for standbys that are synchronous: one that has
   * the slot's position but not yet the ledger's entries would take the messages on their way for duplicates. After a
   * failover to any other, derive everything again.
   */
  readonly failoverSlot?: boolean;
  /** How many messages the dead-letter queue holds. Without it messages that were lost are told of, and not derived again. */
  readonly deadLetters?: () => Promise<number>;
  readonly failpoints?: Failpoints;
  readonly clock?: Clock;
  readonly limits?: Partial<ListenerLimits>;
  /** Called when the slot is taken and changes begin to flow. */
  readonly onCapturing?: () => void;
  /** Called when another is found to have it (`standby`). */
  readonly onStandby?: () => void;
}

/** What the parts of one run share. */
interface Run {
  readonly options: ListenerOptions;
  readonly limits: ListenerLimits;
  readonly clock: Clock;
  readonly db: pg.ClientBase;
  /** Rung when there is something to do. */
  readonly bell: Bell;
  /** Rung when the next round is not to wait any longer: it is full, or the run ends. */
  readonly enough: Bell;
  readonly pace: Pace;
  /** Aborted when a connection is lost or another listener has taken over. */
  readonly broken: AbortSignal;
  fail(error: Error): void;
}

/**
 * Captures the changes of one direction: from its slot, through the ledger, to the publisher, until `signal` aborts.
 * The slot is confirmed to the end of the last commit whose messages have all been accepted, never further.
 *
 * @throws LockstepError when it cannot start (LS_LISTENER_RUNNING without `standby`; see `preflight` and `takeSlot`), when the
 * server, the ledger or another listener ends it (LS_CONNECTION_LOST, LS_LISTENER_SUPERSEDED), and for changes that it
 * cannot send (LS_KEY_TOO_LARGE, LS_PUBLICATION_DIFFERS); whatever the publisher throws. Nothing is lost by any of
 * these, nor when the signal's grace runs out: what was not confirmed is read again by the next listener.
 */
export async function runListener(options: ListenerOptions): Promise<void> {
  const bell = new Bell();
  const enough = new Bell();
  const breaking = new AbortController();
  const stop = () => {
    enough.ring();
    bell.ring();
  };
  const fail = (error: Error) => {
    // The first reason is kept; later ones follow from it.
    breaking.abort(error);
    stop();
  };
  options.signal.addEventListener('abort', stop);
  try {
    await withLedgerConnection(options.pool, breaking.signal, fail, async (db) => {
      const limits = { ...defaultListenerLimits, ...options.limits };
      const clock = options.clock ?? systemClock;
      const pace = new Pace({ db, clock, limits });
      await listen({ options, limits, clock, db, bell, enough, pace, broken: breaking.signal, fail });
    });
  } catch (error) {
    // Stopped before it had begun.
    if (options.signal.aborted && error === options.signal.reason) return;
    // What broke it says more than what became of the query in hand.
    breaking.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', stop);
  }
}

async function listen(run: Run): Promise<void> {
  const { options } = run;
  while (!options.signal.aborted) {
    const checked = await preflight(run.db, options.directionName, options.direction);
    const onForeign = (relation: string) => options.telemetry.log('warn', 'capture.foreign-table', { relation });
    const fold = new Fold(checked.sourcesByOid, options.shards, onForeign, options.directionName);
    const taken = await tryToTake(run, checked, fold);
    if (taken) {
      try {
        await capture(run, checked, fold, taken);
      } finally {
        await taken.stream.close();
      }
      return;
    }
    if (!options.standby) throw slotBusy(checked.slotName, await readSlot(run.db, checked.slotName));
    options.telemetry.log('info', 'listener.standby', { slotName: checked.slotName });
    options.onStandby?.();
    await untilSlotIsFree(run, checked.slotName);
  }
}

async function tryToTake(run: Run, { slotName }: Preflight, fold: Fold): Promise<TakenSlot | undefined> {
  const { options, limits, db } = run;
  const publication = publicationName(options.directionName);
  const stream = {
    slotName,
    publicationName: publication,
    reader: readerInto(fold, publication, run),
    onFailure: run.fail,
    statusEveryMs: limits.statusEveryMs,
    stallTimeoutMs: limits.stallTimeoutMs,
  };
  return await takeSlot({
    db,
    replication: options.replication,
    directionName: options.directionName,
    slotName,
    failover: options.failoverSlot ?? false,
    timeoutMs: limits.slotTimeoutMs,
    lookEveryMs: limits.slotLookEveryMs,
    stream,
    telemetry: options.telemetry,
    signal: options.signal,
    broken: run.broken,
  });
}

async function untilSlotIsFree({ options, limits, clock, db, broken }: Run, slotName: string): Promise<void> {
  do {
    await clock.pauseMs(limits.standbyPollMs);
    broken.throwIfAborted();
  } while (!options.signal.aborted && (await readSlot(db, slotName))?.active);
}

async function capture(
  run: Run,
  { slotName, publicationName: publication }: Preflight,
  fold: Fold,
  { stream, slotCreated }: TakenSlot,
): Promise<void> {
  const { options, limits, db, bell, broken } = run;
  const { directionName, direction, publisher, telemetry, shards } = options;
  const { tenure, forgotten } = await takeOver(db, {
    direction: directionName,
    slotName,
    publicationName: publication,
    shards,
    confirmed: stream.confirmed,
    slotCreated,
  });
  await settleChanges(db);
  fold.beginAs(await mayBeActiveAt(db, directionName, stream.confirmed));
  // What filled a round before the phase was known is dropped where the direction is not the active one; no round would come
  // of it, and nobody would read on.
  stream.resume();
  telemetry.log('info', 'listener.capturing', {
    slotName,
    epoch: String(tenure.epoch),
    from: formatLsn(stream.confirmed),
    forgotten,
  });
  options.onCapturing?.();

  const timeIsUp = new AbortController();
  let deadline: NodeJS.Timeout | undefined;
  const startDeadline = () => {
    deadline = setTimeout(() => timeIsUp.abort(), limits.finishWithinMs);
  };
  options.signal.addEventListener('abort', startDeadline, { once: true });
  const idle = setInterval(() => bell.ring(), limits.idleConfirmMs);
  const beat = setInterval(() => {
    heartbeat(db, tenure, stream.confirmed).then((behind) => telemetry.measure('capture.lag_bytes', behind), run.fail);
  }, limits.heartbeatMs);
  try {
    const context: SendContext = {
      db,
      tenure,
      directionName,
      direction,
      publisher,
      failpoints: options.failpoints ?? (() => {}),
      clock: run.clock,
      signal: AbortSignal.any([broken, timeIsUp.signal]),
    };
    const backfills = await sendBackfills(context);
    if (backfills > 0) telemetry.log('info', 'listener.backfill-requested', { backfills });
    await rounds(run, fold, stream, context);
  } catch (error) {
    // Why the stream broke says more than what that did to the round in hand.
    broken.throwIfAborted();
    if (!timeIsUp.signal.aborted) throw error;
    telemetry.log('warn', 'listener.round-given-up', { slotName, finishWithinMs: limits.finishWithinMs });
  } finally {
    clearInterval(idle);
    clearInterval(beat);
    clearTimeout(deadline);
    options.signal.removeEventListener('abort', startDeadline);
  }
}

/** While one round is being sent, the next is collected. */
async function rounds(run: Run, fold: Fold, stream: ReplicationStream, context: SendContext): Promise<void> {
  const { options, limits, clock, bell, pace, broken } = run;
  const { telemetry, signal, deadLetters } = options;
  const lanes = new Lanes(options.shards);
  const position = () => stream.confirmed;
  const lost = new LostMessages({ context, telemetry, lostAfterMs: limits.lostAfterMs, position, deadLetters });
  let lookedAtMs = clock.nowMs();
  for (;;) {
    await bell.heard();
    await collect(run, fold);
    broken.throwIfAborted();
    const last = signal.aborted;
    if (fold.moved) {
      const startedMs = clock.nowMs();
      const folded = lanes.gather(fold.take());
      stream.resume();
      await context.failpoints('listener.round-collected');
      const { ids } = await sendRound(folded, context);
      broken.throwIfAborted();
      // A keepalive may report less than what is confirmed: after a restart the server reads its WAL from further back.
      if (folded.position !== undefined && folded.position > stream.confirmed) {
        stream.confirm(folded.position);
        await context.failpoints('listener.position-confirmed');
      }
      if (ids.length > 0) {
        pace.began(startedMs, ids);
        telemetry.measure('capture.rounds', 1);
        telemetry.measure('capture.messages', ids.length);
        telemetry.measure('capture.changes', folded.keys);
        telemetry.measure('capture.round_ms', clock.nowMs() - startedMs);
        if (folded.lastCommit)
          telemetry.measure(
            'capture.lag_ms',
            Math.max(0, clock.nowMs() - Number(folded.lastCommit.committedAtMicros / 1000n)),
          );
      }
    }
    if (last) return;
    if (clock.nowMs() - lookedAtMs >= limits.lookForLostEveryMs) {
      lookedAtMs = clock.nowMs();
      await lost.look();
    }
  }
}

/** Lets a round grow until it is due, or full, or the run ends. What only moves the position is not waited for. */
async function collect({ options, limits, clock, enough, pace, broken }: Run, fold: Fold): Promise<void> {
  if (fold.keys === 0 || options.signal.aborted || broken.aborted) return;
  // What it was rung for before is in an earlier round.
  enough.silence();
  const leftMs = isFull(fold, limits) ? 0 : pace.dueInMs();
  if (leftMs > 0) await Promise.race([clock.pauseMs(leftMs), enough.heard()]);
  await pace.adapt();
}
