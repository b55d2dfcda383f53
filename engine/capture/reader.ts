import type { Bell } from './bell.ts';
import { createDecoder } from './decode.ts';
import type { Fold } from './fold.ts';
import type { ListenerLimits } from './limits.ts';
import { isFull } from './pace.ts';
import type { StreamReader } from './stream.ts';

interface Bells {
  readonly limits: ListenerLimits;
  /** Rung when there is something to take. */
  readonly bell: Bell;
  /** Rung when it is not to grow any longer. */
  readonly enough: Bell;
}

/** Decodes what a stream brings into `fold`, and rings for whoever takes it out in rounds. */
export function readerInto(fold: Fold, publication: string, { limits, bell, enough }: Bells): StreamReader {
  const decode = createDecoder(publication);
  return {
    onData(payload) {
      fold.add(decode(payload));
      const full = isFull(fold, limits);
      if (full) enough.ring();
      // The rest of a transaction comes at once: it goes in as few rounds as hold it.
      if (full || (fold.betweenTransactions && fold.worthTaking)) bell.ring();
      return !full;
    },
    // No bell: an idle slot moves on with the clock, or each confirmation would call forth the next keepalive.
    onKeepalive: (walEnd) => fold.reach(walEnd),
  };
}
