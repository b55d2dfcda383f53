import type { Folded, FoldedRows } from './fold.ts';

/** Fewer keys than this are not worth a message of their own, with its ledger entry, its requests and its merge. */
const keysWorthAMessage = 32;

/**
 * Puts the rows of a small round into as few shards as are worth it, beginning with `first`: twenty changes are one message
 * then and not sixteen. Rows of one shard stay together.
 *
 * @param shards how many there are.
 */
export function gather(folded: Folded, shards: number, first: number): Folded {
  const lanes = Math.ceil(folded.keys / keysWorthAMessage);
  if (lanes >= shards) return folded;
  const gathered = new Map<number, FoldedRows>();
  for (const [shard, bySource] of folded.shards) {
    const lane = (first + (shard % lanes)) % shards;
    const known = gathered.get(lane);
    if (known) addAll(known, bySource);
    else gathered.set(lane, bySource);
  }
  return { ...folded, shards: gathered };
}

/** A row is of one shard, so that none is in both. */
function addAll(into: FoldedRows, more: FoldedRows): void {
  for (const [source, rows] of more) {
    const known = into.get(source);
    if (!known) into.set(source, rows);
    else for (const [row, transaction] of rows) known.set(row, transaction);
  }
}

/** Shards in turn: small rounds go to different ones, so that a message which is stuck holds up few of those after it. */
export class Lanes {
  readonly #shards: number;
  #first = 0;

  constructor(shards: number) {
    this.#shards = shards;
  }

  gather(folded: Folded): Folded {
    const gathered = gather(folded, this.#shards, this.#first);
    this.#first = (this.#first + gathered.shards.size) % this.#shards;
    return gathered;
  }
}
