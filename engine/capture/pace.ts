import type { Clock } from '../clock.ts';
import { presentInLedger } from '../ledger/strike.ts';
import type { Queryable } from '../text-query.ts';
import type { Fold } from './fold.ts';
import type { ListenerLimits } from './limits.ts';

type PaceLimits = Pick<ListenerLimits, 'roundEveryMs' | 'longestRoundMs'>;

/** Whether no more is read into a round. */
export const isFull = (fold: Fold, limits: ListenerLimits): boolean =>
  fold.keys >= limits.keysPerRound || fold.characters >= limits.charactersPerRound;

/** How many rounds may be on their way, the newest included, until the appliers count as behind. */
const mostOnTheirWay = 2;
/** How many rounds are remembered; more of them than were behind would say nothing more. */
const remembered = 16;

/**
 * How long rounds are from now on. Appliers that are behind get longer ones: what is changed again meanwhile, or belongs to
 * the same scope, is merged once then, and would have waited in the queue otherwise.
 *
 * @param currentMs how long they have been.
 * @param onTheirWay how many have begun after the newest that is finished.
 */
export function nextRoundEveryMs(currentMs: number, onTheirWay: number, limits: PaceLimits): number {
  if (onTheirWay > 0 && onTheirWay <= mostOnTheirWay) return currentMs;
  const wantedMs = onTheirWay === 0 ? currentMs / 2 : Math.min(limits.longestRoundMs, currentMs * 2);
  return Math.max(limits.roundEveryMs, wantedMs);
}

export interface PaceOptions {
  readonly db: Queryable;
  readonly clock: Clock;
  readonly limits: PaceLimits;
}

/** When the next round is due. */
export class Pace {
  readonly #options: PaceOptions;
  #everyMs: number;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs: number;
  /** One message of each of the last rounds, oldest first. */
  #samples: readonly string[] = [];
  #rounds = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#everyMs = options.limits.roundEveryMs;
    this.#lookedAtMs = options.clock.nowMs();
  }

  /** At most one interval, whatever the clock has been set to. */
  dueInMs(): number {
    return Math.min(this.#everyMs, this.#beganAtMs + this.#everyMs - this.#options.clock.nowMs());
  }

  /** Looks now and then, before a round, how far the appliers are with those before it. */
  async adapt(): Promise<void> {
    const { db, clock, limits } = this.#options;
    const nowMs = clock.nowMs();
    if (Math.abs(nowMs - this.#lookedAtMs) < limits.longestRoundMs) return;
    this.#lookedAtMs = nowMs;
    const waiting = await presentInLedger(db, this.#samples);
    // One that is stuck, in a shard of its own, does not count as long as newer ones are finished.
    const newestFinished = this.#samples.findLastIndex((id) => !waiting.has(id));
    this.#everyMs = nextRoundEveryMs(this.#everyMs, this.#samples.length - 1 - newestFinished, limits);
  }

  /** A round began at `startedMs`, and these are its messages. */
  began(startedMs: number, ids: readonly string[]): void {
    this.#beganAtMs = startedMs;
    // Now of this shard, now of that.
    const sample = ids[this.#rounds % ids.length];
    this.#rounds += 1;
    if (sample !== undefined) this.#samples = [...this.#samples, sample].slice(-remembered);
  }
}
