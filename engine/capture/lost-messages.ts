import { randomUUID } from 'node:crypto';
import { enter, type LedgerEntry } from '../ledger/entries.ts';
import { readProgress, readSuspects, type Suspect, stillEntered } from '../ledger/suspects.ts';
import type { Lsn } from '../lsn.ts';
import { encode } from '../message/codec.ts';
import type { Telemetry } from '../telemetry.ts';
import { backfillMessage } from './round.ts';
import { type SendContext, sendBackfills } from './send.ts';

/*
 * Messages that are lost without a word: a queue that was purged, made anew, or whose retention ran out. Their entries
 * stay in the ledger and hold everything up. Age alone proves nothing, a queue may be slow; but a group of a FIFO queue is
 * handled in order, so when a message that was sent later in the same group is finished and an earlier one is not, for as
 * long as both could have been in one batch, the earlier one is in the queue no more. So where something is old, a probe (a
 * message that names no rows) is sent after it.
 */

/** A probe on its way through a group. */
export interface Probe {
  readonly id: string;
  readonly sentAtMs: number;
  /** What was old when it was sent. */
  readonly before: readonly string[];
  /** When it was first seen to be finished. */
  readonly finishedAtMs?: number;
}

export interface Judgement {
  readonly lost: readonly Suspect[];
  /** Groups to be probed (again: a probe can be lost as well). */
  readonly toProbe: readonly string[];
}

/**
 * @param suspects entries that are old.
 * @param probes by group.
 * @param lostAfterMs longer than a batch can be in hand, redelivery included.
 */
export function judge(
  suspects: readonly Suspect[],
  probes: ReadonlyMap<string, Probe>,
  nowMs: number,
  lostAfterMs: number,
): Judgement {
  const lost: Suspect[] = [];
  const toProbe = new Set<string>();
  for (const suspect of suspects) {
    const probe = probes.get(suspect.group);
    const { sentAtMs = 0, finishedAtMs } = probe ?? {};
    if (finishedAtMs === undefined) {
      if (!probe || nowMs - sentAtMs > lostAfterMs) toProbe.add(suspect.group);
    } else if (!probe?.before.includes(suspect.id)) toProbe.add(suspect.group);
    else if (nowMs - finishedAtMs > lostAfterMs) lost.push(suspect);
  }
  // What a group has lost is told before anything else is asked of it.
  return { lost, toProbe: [...toProbe].filter((group) => !waits(suspects, probes.get(group))) };
}

/** A finished probe whose suspects are still being given time. */
function waits(suspects: readonly Suspect[], probe: Probe | undefined): boolean {
  return probe?.finishedAtMs !== undefined && suspects.some(({ id }) => probe.before.includes(id));
}

export interface LostMessagesOptions {
  readonly context: SendContext;
  readonly telemetry: Telemetry;
  readonly lostAfterMs: number;
  /** To which the slot is confirmed: a probe holds up nothing that committed before it. */
  readonly position: () => Lsn;
  /** How many messages the dead-letter queue holds; without it what is lost is told of, and left alone. */
  readonly deadLetters: (() => Promise<number>) | undefined;
}

/** Looks for messages that are lost, and has everything derived again when there are any. */
export class LostMessages {
  readonly #options: LostMessagesOptions;
  readonly #probes = new Map<string, Probe>();
  /** By run, how far it was when it was last seen to move. */
  readonly #progress = new Map<string, { readonly mark: string; sinceMs: number }>();

  constructor(options: LostMessagesOptions) {
    this.#options = options;
  }

  /**
   * To be called between two rounds: what is in the ledger then has been sent, and can be seen by whoever derives.
   *
   * @throws what `enter` and the publisher throw.
   */
  async look(): Promise<void> {
    const { context, lostAfterMs } = this.#options;
    await this.#resendBackfills();
    await this.#noteFinished();
    const suspects = await readSuspects(context.db, context.directionName, lostAfterMs);
    const nowMs = context.clock.nowMs();
    const { lost, toProbe } = judge(suspects, this.#probes, nowMs, lostAfterMs);
    const groups = new Set(suspects.map(({ group }) => group));
    for (const group of [...this.#probes.keys()]) if (!groups.has(group)) this.#probes.delete(group);
    for (const group of toProbe) await this.#probe(group, suspects);
    if (lost.length > 0) await this.#recover(lost);
  }

  /** Before the suspects are read: what is finished later than its probe is none. */
  async #noteFinished(): Promise<void> {
    const { context } = this.#options;
    const open = [...this.#probes].filter(([, { finishedAtMs }]) => finishedAtMs === undefined);
    const underWay = await stillEntered(
      context.db,
      open.map(([, { id }]) => id),
    );
    const finishedAtMs = context.clock.nowMs();
    for (const [group, probe] of open) if (!underWay.has(probe.id)) this.#probes.set(group, { ...probe, finishedAtMs });
  }

  async #probe(group: string, suspects: readonly Suspect[]): Promise<void> {
    const { context, telemetry, position } = this.#options;
    const before = suspects.filter((suspect) => suspect.group === group);
    const shard = before[0]?.shard ?? 0;
    const id = randomUUID();
    const direction = context.directionName;
    await enter(context.db, context.tenure, [
      entryOf(id, before[0]?.kind === 'changes' ? 'changes' : 'truncate', shard, position()),
    ]);
    const body = encode({ version: 1, kind: 'changes', id, direction, shard, rows: {} });
    await context.publisher.publish([{ deduplicationId: id, group, body }], context.signal);
    this.#probes.set(group, { id, sentAtMs: context.clock.nowMs(), before: before.map((suspect) => suspect.id) });
    telemetry.log('warn', 'queue.probed', { group, oldMessages: before.length });
  }

  async #recover(lost: readonly Suspect[]): Promise<void> {
    const { context, telemetry, deadLetters } = this.#options;
    const dead = await deadLetters?.().catch((error: unknown) => {
      telemetry.log('warn', 'queue.dead-letters-unreadable', { reason: String(error) });
      return undefined;
    });
    const found = { messages: lost.length, groups: [...new Set(lost.map(({ group }) => group))] };
    if (dead === undefined || dead > 0) {
      telemetry.log('error', 'queue.messages-missing', {
        ...found,
        deadLetters: dead ?? 'unknown',
        remedy: 'send the dead letters back to the queue; when it has none, lockstep backfill --forget-in-flight',
      });
      // Those that come back are given the time to be applied.
      this.#probes.clear();
      return;
    }
    this.#probes.clear();
    telemetry.measure('capture.messages_lost', lost.length);
    // A backfill that has not begun is what asks for everything; another one would not be it, and leaves its entry.
    if (lost.some(({ kind }) => kind === 'backfill')) {
      await sendBackfills(context, randomUUID);
      telemetry.log('warn', 'backfill.sent-again', found);
    }
    if (lost.every(({ kind }) => kind === 'backfill')) return;
    const id = randomUUID();
    const targets = context.direction.targets.map(({ name }) => name);
    // Below every position, as for a lost slot: until all is derived again, nothing counts as applied.
    await enter(context.db, context.tenure, [entryOf(id, 'backfill', 0, 0n)]);
    const message = backfillMessage(context.directionName, { id, reason: 'messages lost', targets });
    await context.publisher.publish([message], context.signal);
    telemetry.log('error', 'queue.messages-lost', { ...found, backfill: id, remedy: 'everything is derived again' });
  }

  /** A run whose message is lost stands still. Sent twice it does no harm: several workers may run it at once. */
  async #resendBackfills(): Promise<void> {
    const { context, telemetry, lostAfterMs } = this.#options;
    const runs = await readProgress(context.db, context.directionName);
    const nowMs = context.clock.nowMs();
    const standing = runs.filter(({ id, mark }) => {
      const known = this.#progress.get(id);
      if (known?.mark === mark) return nowMs - known.sinceMs > lostAfterMs;
      this.#progress.set(id, { mark, sinceMs: nowMs });
      return false;
    });
    for (const { id, reason, targets, mark } of standing) {
      const message = backfillMessage(context.directionName, { id, reason, targets });
      await context.publisher.publish([{ ...message, deduplicationId: randomUUID() }], context.signal);
      this.#progress.set(id, { mark, sinceMs: nowMs });
      telemetry.log('warn', 'backfill.sent-again', { id, reason });
    }
    const current = new Set(runs.map(({ id }) => id));
    for (const id of [...this.#progress.keys()]) if (!current.has(id)) this.#progress.delete(id);
  }
}

function entryOf(id: string, kind: LedgerEntry['kind'], shard: number, commitLsn: Lsn): LedgerEntry {
  return { id, kind, shard, commitLsn, committedAtMicros: BigInt(Date.now()) * 1000n, keyCount: 0, sourceKeys: {} };
}
