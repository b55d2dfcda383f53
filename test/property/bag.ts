import type { Applier } from '../../engine/apply/applier.ts';
import { decode } from '../../engine/message/codec.ts';
import type { Message, OutgoingMessage, Publisher } from '../../engine/message/message.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import type { Random } from '../../engine/random.ts';

/** A queue with no manners: any order, any message again, also long after it was finished. */
export class Bag implements Publisher {
  readonly #migration: Migration;
  readonly #waiting: Message[] = [];
  readonly #seen: Message[] = [];
  delivered = 0;

  constructor(migration: Migration) {
    this.#migration = migration;
  }

  async publish(outgoing: readonly OutgoingMessage[]): Promise<void> {
    for (const { body } of outgoing) {
      const { message, malformed } = decode(body, this.#migration);
      if (!message) throw new Error(malformed);
      this.#waiting.push(message);
      this.#seen.push(message);
      if (this.#seen.length > 200) this.#seen.shift();
    }
  }

  /** A handful of messages, some of them again; nothing when there is nothing. */
  #draw(random: Random): Message[] {
    const drawn: Message[] = [];
    for (let left = 1 + random.integer(4); left > 0 && this.#waiting.length > 0; left--) {
      drawn.push(...this.#waiting.splice(random.integer(this.#waiting.length), 1));
    }
    if (this.#seen.length > 0 && random.chance(0.2)) drawn.push(random.pick(this.#seen));
    return drawn;
  }

  /** Hands messages to an applier until `stop`; what it does not finish goes back into the bag. */
  async feed(applier: Applier, random: Random, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const drawn = this.#draw(random);
      if (drawn.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        continue;
      }
      this.delivered += drawn.length;
      const outcomes = await applier.apply(drawn, { deadlineMs: Date.now() + 20_000 }).catch((error: Error) => {
        if (error.message !== 'crash') throw error;
        return drawn.map(() => ({ kind: 'again' as const }));
      });
      for (const [index, outcome] of outcomes.entries()) {
        const message = drawn[index] as Message;
        if (outcome.kind === 'again' || outcome.kind === 'continue') this.#waiting.push(message);
        else if (outcome.kind === 'unreadable') throw new Error(outcome.reason);
      }
    }
  }
}
