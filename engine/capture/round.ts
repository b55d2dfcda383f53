import { LockstepError } from '../errors.ts';
import { nameOf } from '../identifiers.ts';
import type { LedgerEntry } from '../ledger/entries.ts';
import { encode, queueable } from '../message/codec.ts';
import type { BackfillMessage, OutgoingMessage } from '../message/message.ts';
import { groupOfBackfill, groupOfShard } from '../message/shard.ts';
import type { Direction, DirectionName, Source } from '../migration/contract.ts';
import type { Folded, FoldedRows, Transaction } from './fold.ts';

/** A message with its ledger entry. */
export interface Parcel {
  readonly entry: LedgerEntry;
  readonly message: OutgoingMessage;
}

export interface RoundOptions {
  readonly directionName: DirectionName;
  readonly direction: Direction;
  /**
   * A fresh random UUID on each call. Ids are never derived from the changes: when a round is read again after its
   * ledger entries were forgotten, SQS would drop what carries an id that it has seen within 5 minutes.
   */
  readonly newId: () => string;
}

/** SQS bills by 64 KiB. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-pricing.html */
export const maxBodyBytes = 64 * 1024;
/** A row that does not fit into that goes alone; SQS takes 1 MiB. */
export const maxSingleRowBytes = 256 * 1024;

/**
 * The messages of a round, in a fixed order: shard by shard, the sources as the migration declares them, rows in the
 * order in which they changed first.
 *
 * @throws LockstepError LS_KEY_TOO_LARGE when one row's key and routing values exceed 256 KiB.
 */
export function packRound(folded: Folded, options: RoundOptions): Parcel[] {
  const shards = [...folded.shards].sort(([a], [b]) => a - b);
  const parcels = shards.flatMap(([shard, rows]) => packShard(shard, rows, options));
  const truncation = packTruncation(folded, options);
  return truncation ? [...parcels, truncation] : parcels;
}

function packShard(shard: number, rows: FoldedRows, { directionName, direction, newId }: RoundOptions): Parcel[] {
  const parcels: Parcel[] = [];
  let draft = new Draft(directionName, shard, newId());
  for (const source of direction.sources) {
    for (const [row, transaction] of rows.get(source) ?? []) {
      if (!draft.takes(source, row)) {
        if (draft.rowCount > 0) {
          parcels.push(draft.finish());
          draft = new Draft(directionName, shard, newId());
        }
        if (draft.bytesWith(source, row) > maxSingleRowBytes) throw tooLarge(source);
      }
      draft.add(source, row, transaction);
    }
  }
  if (draft.rowCount > 0) parcels.push(draft.finish());
  return parcels;
}

/** A ChangesMessage that grows as text, so that its exact size is known at each step. */
class Draft {
  rowCount = 0;
  readonly #directionName: DirectionName;
  readonly #shard: number;
  readonly #id: string;
  readonly #head: string;
  readonly #sources: { readonly name: string; readonly rows: string[] }[] = [];
  #earliest: Transaction | undefined;
  #bytes: number;

  constructor(directionName: DirectionName, shard: number, id: string) {
    this.#directionName = directionName;
    this.#shard = shard;
    this.#id = id;
    this.#head = `{"version":1,"kind":"changes","id":"${id}","direction":"${directionName}","shard":${shard},"rows":{`;
    this.#bytes = Buffer.byteLength(this.#head) + 2;
  }

  bytesWith(source: Source, row: string): number {
    const opening = this.#sources.at(-1)?.name === source.name ? 0 : Buffer.byteLength(JSON.stringify(source.name)) + 4;
    return this.#bytes + opening + Buffer.byteLength(row) + 1;
  }

  takes(source: Source, row: string): boolean {
    return this.bytesWith(source, row) <= maxBodyBytes;
  }

  add(source: Source, row: string, transaction: Transaction): void {
    this.#bytes = this.bytesWith(source, row);
    const last = this.#sources.at(-1);
    if (last?.name === source.name) last.rows.push(row);
    else this.#sources.push({ name: source.name, rows: [row] });
    if (!this.#earliest || transaction.commitLsn < this.#earliest.commitLsn) this.#earliest = transaction;
    this.rowCount += 1;
  }

  finish(): Parcel {
    if (!this.#earliest) throw new RangeError('a message without rows');
    const sources = this.#sources.map(({ name, rows }) => `${JSON.stringify(name)}:[${rows.join(',')}]`);
    const sourceKeys = Object.fromEntries(this.#sources.map(({ name, rows }) => [name, rows.length]));
    return {
      entry: {
        id: this.#id,
        kind: 'changes',
        shard: this.#shard,
        ...this.#earliest,
        keyCount: this.rowCount,
        sourceKeys,
      },
      message: {
        deduplicationId: this.#id,
        group: groupOfShard(this.#directionName, this.#shard),
        body: queueable(`${this.#head}${sources.join(',')}}}`),
      },
    };
  }
}

/** A truncated table names no rows, so every target that reads it is derived again as a whole. */
function packTruncation({ truncated }: Folded, { directionName, direction, newId }: RoundOptions): Parcel | undefined {
  const sources = [...truncated.keys()];
  const targets = direction.targets.filter((target) => sources.some((source) => source.name in target.scopesOf));
  const [first] = [...truncated.values()].sort((a, b) => (a.commitLsn < b.commitLsn ? -1 : 1));
  if (!first || targets.length === 0) return undefined;
  const id = newId();
  return {
    entry: { id, kind: 'truncate', shard: 0, ...first, keyCount: 0, sourceKeys: {} },
    message: backfillMessage(directionName, { id, reason: 'truncate', targets: targets.map((target) => target.name) }),
  };
}

/** The message that asks for whole targets to be derived again. */
export function backfillMessage(
  direction: DirectionName,
  request: Pick<BackfillMessage, 'id' | 'reason' | 'targets'>,
): OutgoingMessage {
  return {
    deduplicationId: request.id,
    group: groupOfBackfill(direction),
    body: encode({ version: 1, kind: 'backfill', direction, ...request }),
  };
}

function tooLarge(source: Source): LockstepError {
  return new LockstepError(
    'LS_KEY_TOO_LARGE',
    `A changed row of table ${nameOf(source.relation)} has key and routing values (${[...source.key, ...source.routing].join(', ')}) of more than ${maxSingleRowBytes / 1024} KiB.`,
  );
}
