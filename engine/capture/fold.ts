import type { Pgoutput } from 'pg-logical-replication';
import { LockstepError } from '../errors.ts';
import { type Lsn, parseLsn } from '../lsn.ts';
import { shardOf } from '../message/shard.ts';
import type { DirectionName, Source } from '../migration/contract.ts';
import { announcedPhase } from '../phases/announcement.ts';

/** The transaction that a change belongs to. */
export interface Transaction {
  /** Start of its commit record. Transactions come in the order of this. */
  readonly commitLsn: Lsn;
  /** Microseconds since 1970. */
  readonly committedAtMicros: bigint;
  /** The lower 32 bits of its id. */
  readonly xid: number;
}

/** By source: changed rows as the JSON that messages carry, each with the first transaction that named it. */
export type FoldedRows = Map<Source, Map<string, Transaction>>;

/** What has been read since the last round was taken. */
export interface Folded {
  readonly shards: ReadonlyMap<number, FoldedRows>;
  /** Truncated sources, with the first transaction that did it. */
  readonly truncated: ReadonlyMap<Source, Transaction>;
  readonly keys: number;
  /** The transactions whose changes are folded. */
  readonly xids: ReadonlySet<number>;
  /** Every commit that ends at or below it is folded, in this round or an earlier one. Undefined: it has not moved. */
  readonly position: Lsn | undefined;
  /** The last transaction that was read to its end. */
  readonly lastCommit: Transaction | undefined;
}

/** A relation of the stream, prepared: which columns to take of its tuples. */
interface Shape {
  readonly source: Source;
  readonly columns: readonly string[];
}

type Tuple = Readonly<Record<string, string | null | undefined>>;

/**
 * Folds the changes of a stream into sets of keys: a thousand changes of one row are one row, since a message only says
 * that it changed. Rows may be taken before their transaction has been read to its end (the server sends only what has
 * committed), so a transaction of any size passes through in pieces.
 */
export class Fold {
  readonly #sources: ReadonlyMap<number, Source>;
  readonly #shards: number;
  readonly #onForeign: (relation: string) => void;
  readonly #shapes = new Map<number, Shape | undefined>();
  #transaction: Transaction | undefined;
  #rows = new Map<number, FoldedRows>();
  #truncated = new Map<Source, Transaction>();
  #xids = new Set<number>();
  #keys = 0;
  #characters = 0;
  #position: Lsn | undefined;
  #lastCommit: Transaction | undefined;
  readonly #direction: DirectionName;
  /** Whether changes are folded: not while the other direction is the active one. */
  #active = true;
  #announced = false;
  #endsWithTransaction = false;

  /**
   * @param sources by the OID of their table; see `checkSources`.
   * @param onForeign called once for each table in the stream that is no source (it was one when the WAL was written).
   * @param direction whose changes these are.
   */
  constructor(
    sources: ReadonlyMap<number, Source>,
    shards: number,
    onForeign: (relation: string) => void,
    direction: DirectionName = 'forward',
  ) {
    this.#direction = direction;
    this.#sources = sources;
    this.#shards = shards;
    this.#onForeign = onForeign;
  }

  /** Rows folded since the last take. */
  get keys(): number {
    return this.#keys;
  }

  /** Characters of those rows. */
  get characters(): number {
    return this.#characters;
  }

  /** Whether a transaction has ended, or something was folded, since the last take. */
  get worthTaking(): boolean {
    return this.#keys > 0 || this.#truncated.size > 0 || this.#lastCommit !== undefined;
  }

  /** Whether what was read last is the end of a transaction. */
  get betweenTransactions(): boolean {
    return this.#transaction === undefined;
  }

  /** Whether taking would move the position or send something. */
  get moved(): boolean {
    return this.worthTaking || this.#position !== undefined;
  }

  /**
   * Says whether the stream began in a time in which its direction is the active one. Until then everything is folded;
   * unless the stream has announced a phase meanwhile, what an inactive direction has folded is forgotten.
   */
  beginAs(active: boolean): void {
    if (active || this.#announced) return;
    this.#active = false;
    this.#rows = new Map();
    this.#truncated = new Map();
    this.#xids = new Set();
    this.#keys = 0;
    this.#characters = 0;
  }

  /** @throws LockstepError LS_PUBLICATION_DIFFERS when the stream lacks a column that the migration needs. */
  add(message: Pgoutput.Message): void {
    switch (message.tag) {
      case 'begin':
        this.#transaction = {
          commitLsn: required(message.commitLsn),
          committedAtMicros: BigInt(message.commitTime.toString()),
          xid: message.xid >>> 0,
        };
        return;
      case 'commit':
        this.#lastCommit = this.#current();
        this.#transaction = undefined;
        if (this.#endsWithTransaction) this.#active = false;
        this.#endsWithTransaction = false;
        this.#position = required(message.commitEndLsn);
        return;
      case 'insert':
        this.#row(message.relation, message.new, undefined);
        return;
      case 'update': {
        const old = message.key ?? message.old ?? undefined;
        if (old) this.#row(message.relation, old, undefined);
        this.#row(message.relation, message.new, old);
        return;
      }
      case 'delete':
        this.#row(message.relation, message.key ?? message.old ?? {}, undefined);
        return;
      case 'truncate':
        for (const relation of message.relations) this.#truncate(relation);
        return;
      case 'relation':
        this.#announce(message);
        return;
      // Of a barrier, which is a transaction of its own, it is the commit that counts.
      case 'message':
        this.#turn(message);
        return;
      case 'origin':
      case 'type':
        return;
    }
  }

  /** A keepalive: outside of a transaction it says that everything which committed below `walEnd` has been folded. */
  reach(walEnd: Lsn): void {
    if (this.#transaction === undefined && walEnd > (this.#position ?? 0n)) this.#position = walEnd;
  }

  /** Hands over what has been folded and begins anew. An open transaction goes on in the next round. */
  take(): Folded {
    const taken = {
      shards: this.#rows,
      truncated: this.#truncated,
      keys: this.#keys,
      xids: this.#xids,
      position: this.#position,
      lastCommit: this.#lastCommit,
    };
    this.#rows = new Map();
    this.#truncated = new Map();
    this.#xids = new Set();
    this.#keys = 0;
    this.#characters = 0;
    this.#position = undefined;
    this.#lastCommit = undefined;
    return taken;
  }

  #current(): Transaction {
    if (!this.#transaction) throw new RangeError('a change outside of a transaction');
    return this.#transaction;
  }

  /**
   * A change of the phase. What committed before it belongs to the time before: at that commit both sides were proved to
   * be equal, so that nothing of it has to be derived in the other direction. What that transaction itself has written
   * counts for both.
   */
  #turn(message: Pgoutput.MessageMessage): void {
    const phase = announcedPhase(message.prefix, message.content);
    if (phase === undefined) return;
    this.#announced = true;
    // The position must not move beyond a change that a listener which begins there could not see yet.
    this.#xids.add(this.#current().xid);
    if (phase === this.#direction) this.#active = true;
    else this.#endsWithTransaction = true;
  }

  #announce(relation: Pgoutput.MessageRelation): void {
    // By OID first: a table that was renamed is still the one that the views read.
    const source = this.#sources.get(relation.relationOid) ?? this.#byName(relation);
    if (!source) {
      if (!this.#shapes.has(relation.relationOid)) this.#onForeign(`${relation.schema}.${relation.name}`);
      this.#shapes.set(relation.relationOid, undefined);
      return;
    }
    const columns = [...source.key, ...source.routing];
    const missing = columns.find((column) => !relation.columns.some(({ name }) => name === column));
    if (missing !== undefined) {
      throw new LockstepError(
        'LS_PUBLICATION_DIFFERS',
        `The changes of table ${relation.schema}.${relation.name} come without column "${missing}", which source "${source.name}" needs.`,
      );
    }
    this.#shapes.set(relation.relationOid, { source, columns });
  }

  /** A table that was dropped and made again under its name has left changes under its former OID in the WAL. */
  #byName({ schema, name }: Pgoutput.MessageRelation): Source | undefined {
    for (const source of this.#sources.values()) {
      if (source.relation.schema === schema && source.relation.name === name) return source;
    }
    return undefined;
  }

  /** @param old the same row before the change: an unchanged TOASTed value is only there, if anywhere. */
  #row(relation: Pgoutput.MessageRelation, tuple: Tuple, old: Tuple | undefined): void {
    const shape = this.#shapes.get(relation.relationOid);
    if (!shape || !this.#active) return;
    const { source, columns } = shape;
    const row = columns.map(
      (column) => tuple[column] ?? (tuple[column] === undefined ? old?.[column] : undefined) ?? null,
    );
    for (let index = 0; index < source.key.length; index++) {
      if (row[index] === null) throw new RangeError(`a change of ${relation.schema}.${relation.name} without its key`);
    }
    const shard = shardOf(row, source.key.length, this.#shards);
    const rows = upsert(
      upsert(this.#rows, shard, () => new Map<Source, Map<string, Transaction>>()),
      source,
      () => new Map<string, Transaction>(),
    );
    const json = JSON.stringify(row);
    // Also of a row that is folded already: it must not be merged before this change of it can be seen.
    this.#xids.add(this.#current().xid);
    if (rows.has(json)) return;
    rows.set(json, this.#current());
    this.#keys += 1;
    this.#characters += json.length;
  }

  #truncate(relation: Pgoutput.MessageRelation): void {
    const shape = this.#shapes.get(relation.relationOid);
    if (!shape || !this.#active) return;
    this.#xids.add(this.#current().xid);
    if (!this.#truncated.has(shape.source)) this.#truncated.set(shape.source, this.#current());
  }
}

function upsert<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function required(lsn: string | null): Lsn {
  if (lsn === null) throw new RangeError('a transaction without a position');
  return parseLsn(lsn);
}
