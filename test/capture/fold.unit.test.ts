import fc from 'fast-check';
import type { Pgoutput } from 'pg-logical-replication';
import { expect, test } from 'vitest';
import { Fold, type Folded } from '../../engine/capture/fold.ts';
import { maxBodyBytes, maxSingleRowBytes, type Parcel, packRound } from '../../engine/capture/round.ts';
import { formatLsn, type Lsn } from '../../engine/lsn.ts';
import { decode } from '../../engine/message/codec.ts';
import type { ChangesMessage } from '../../engine/message/message.ts';
import { shardOf } from '../../engine/message/shard.ts';
import type { Source } from '../../engine/migration/contract.ts';
import { migrationOf } from './support.ts';

const photos: Source = {
  name: 'photos',
  relation: { schema: 'public', name: 'photos' },
  key: ['id'],
  routing: ['project_id'],
};
const items: Source = {
  name: 'it"ems',
  relation: { schema: 'public', name: 'items' },
  key: ['order_id', 'line'],
  routing: [],
};
const sources = new Map([
  [1, photos],
  [2, items],
]);
const migration = migrationOf(photos, items);
const shards = 3;

const relation = (oid: number, source: Source): Pgoutput.MessageRelation => ({
  tag: 'relation',
  relationOid: oid,
  ...source.relation,
  replicaIdentity: 'default',
  columns: [...source.key, ...source.routing].map((name) => ({
    name,
    flags: 0,
    typeOid: 25,
    typeMod: -1,
    typeSchema: null,
    typeName: null,
    parser: String,
  })),
  keyColumns: [...source.key],
});
const photosRelation = relation(1, photos);
const itemsRelation = relation(2, items);

const begin = (commitLsn: Lsn): Pgoutput.Message => ({
  tag: 'begin',
  commitLsn: formatLsn(commitLsn),
  commitTime: commitLsn * 1000n,
  xid: 1,
});
const commit = (commitLsn: Lsn, end: Lsn): Pgoutput.Message => ({
  tag: 'commit',
  flags: 0,
  commitLsn: formatLsn(commitLsn),
  commitEndLsn: formatLsn(end),
  commitTime: commitLsn * 1000n,
});

function newFold(onForeign: (relation: string) => void = () => {}): Fold {
  const fold = new Fold(sources, shards, onForeign);
  fold.add(photosRelation);
  fold.add(itemsRelation);
  return fold;
}

let ids = 0;
const newId = () => `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`;
const pack = (folded: Folded): Parcel[] =>
  packRound(folded, { directionName: 'forward', direction: migration.forward, newId });

function read(parcel: Parcel): ChangesMessage {
  const { message, malformed } = decode(parcel.message.body, migration);
  if (message?.kind !== 'changes') throw new Error(malformed ?? 'not changes');
  return message;
}

const value = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 5 }).filter((text) => !text.includes('\0') && text.isWellFormed()),
  fc.constantFrom('', 'null', '"', '\\'),
);
const photo = fc.record({ id: value, project_id: fc.option(value) });
const change: fc.Arbitrary<{ message: Pgoutput.Message; rows: [Source, (string | null)[]][] }> = fc.oneof(
  photo.map((row) => ({
    message: { tag: 'insert' as const, relation: photosRelation, new: row },
    rows: [[photos, [row.id, row.project_id]] as [Source, (string | null)[]]],
  })),
  fc.tuple(photo, value).map(([row, old]) => ({
    message: { tag: 'update' as const, relation: photosRelation, key: { id: old }, old: null, new: row },
    rows: [
      [photos, [old, null]],
      [photos, [row.id, row.project_id]],
    ] as [Source, (string | null)[]][],
  })),
  fc.tuple(value, value).map(([order_id, line]) => ({
    message: { tag: 'delete' as const, relation: itemsRelation, key: { order_id, line }, old: null },
    rows: [[items, [order_id, line]]] as [Source, (string | null)[]][],
  })),
);
/** Transactions; within each, changes or (undefined) a place where a round is taken. */
const history = fc.array(fc.array(fc.option(change, { nil: undefined, freq: 6 }), { maxLength: 12 }), { maxLength: 8 });

test('whatever is read, every change is in a round that is not confirmed before it, and nothing else is', () => {
  fc.assert(
    fc.property(history, (transactions) => {
      const fold = newFold();
      const rounds: Folded[] = [];
      const truth: { identity: string; commitLsn: Lsn; end: Lsn; round: number }[] = [];
      transactions.forEach((changes, index) => {
        const commitLsn = BigInt(index + 1) * 100n;
        fold.add(begin(commitLsn));
        for (const step of changes) {
          if (!step) rounds.push(fold.take());
          else {
            fold.add(step.message);
            for (const [source, row] of step.rows)
              truth.push({
                identity: JSON.stringify([source.name, row]),
                commitLsn,
                end: commitLsn + 10n,
                round: rounds.length,
              });
          }
          fold.reach(commitLsn + 99n);
        }
        fold.add(commit(commitLsn, commitLsn + 10n));
      });
      rounds.push(fold.take());

      const named = rounds.map((folded) => {
        const identities = new Map<string, Lsn>();
        for (const parcel of pack(folded)) {
          const message = read(parcel);
          expect(Buffer.byteLength(parcel.message.body)).toBeLessThanOrEqual(maxBodyBytes);
          expect(parcel.entry).toMatchObject({ id: message.id, shard: message.shard, kind: 'changes' });
          let count = 0;
          for (const [source, rows] of Object.entries(message.rows)) {
            for (const row of rows) {
              const identity = JSON.stringify([source, row]);
              expect(identities.has(identity)).toBe(false);
              expect(shardOf(row, source === 'photos' ? 1 : 2, shards)).toBe(message.shard);
              identities.set(identity, parcel.entry.commitLsn);
              count += 1;
            }
          }
          expect(parcel.entry.keyCount).toBe(count);
          const counts = Object.entries(message.rows).map(([source, rows]) => [source, rows.length]);
          expect(parcel.entry.sourceKeys).toEqual(Object.fromEntries(counts));
        }
        return identities;
      });
      let confirmed = 0n;
      rounds.forEach((folded, round) => {
        const mine = truth.filter((row) => row.round === round);
        expect(new Set(named[round]?.keys())).toEqual(new Set(mine.map(({ identity }) => identity)));
        for (const { identity, commitLsn } of mine) expect(named[round]?.get(identity)).toBeLessThanOrEqual(commitLsn);
        if (folded.position !== undefined) {
          expect(folded.position).toBeGreaterThanOrEqual(confirmed);
          confirmed = folded.position;
        }
        // Nothing that is still to come may lie below what this round confirms.
        for (const later of truth.filter((row) => row.round > round)) expect(later.end).toBeGreaterThan(confirmed);
      });
    }),
    { numRuns: 500 },
  );
});

test('a message carries the position of the earliest transaction among its own rows', () => {
  const fold = newFold();
  for (const [index, project_id] of ['a', 'a', 'b'].entries()) {
    fold.add(begin(BigInt(index + 1)));
    fold.add({ tag: 'insert', relation: photosRelation, new: { id: String(index), project_id } });
    fold.add(commit(BigInt(index + 1), BigInt(index + 1)));
  }
  const positions = pack(fold.take()).map((parcel) => [read(parcel).rows.photos?.[0]?.[1], parcel.entry.commitLsn]);
  expect(Object.fromEntries(positions)).toEqual({ a: 1n, b: 3n });
});

test('a keepalive inside of a transaction moves nothing, after it it does', () => {
  const fold = newFold();
  fold.add(begin(100n));
  fold.reach(500n);
  expect(fold.moved).toBe(false);
  fold.add(commit(100n, 110n));
  expect(fold.take().position).toBe(110n);
  fold.reach(500n);
  expect([fold.worthTaking, fold.moved]).toEqual([false, true]);
  expect(fold.take().position).toBe(500n);
});

test('a value that an update did not touch comes from the old key, or is unknown', () => {
  const fold = newFold();
  fold.add(begin(1n));
  fold.add({
    tag: 'update',
    relation: photosRelation,
    key: { id: 'long' },
    old: null,
    new: { id: undefined, project_id: undefined },
  });
  expect(read(pack(fold.take())[0] as Parcel).rows).toEqual({ photos: [['long', null]] });
});

test('a row without its key is refused, not invented', () => {
  const fold = newFold();
  fold.add(begin(1n));
  expect(() => fold.add({ tag: 'delete', relation: photosRelation, key: {}, old: null })).toThrow(
    /public.photos without its key/,
  );
});

test('a table that is no source is told once and left out', () => {
  const foreign: string[] = [];
  const fold = newFold((name) => foreign.push(name));
  const other = { ...relation(9, photos), name: 'other' };
  fold.add(other);
  fold.add(other);
  fold.add(begin(1n));
  fold.add({ tag: 'insert', relation: other, new: { id: '1' } });
  fold.add({ tag: 'truncate', cascade: false, restartIdentity: false, relations: [other] });
  expect(fold.worthTaking).toBe(false);
  expect(foreign).toEqual(['public.other']);
});

test('a stream that lacks a column of the migration is refused', () => {
  const fold = newFold();
  expect(() => fold.add({ ...photosRelation, columns: photosRelation.columns.slice(0, 1) })).toThrow(
    expect.objectContaining({ code: 'LS_PUBLICATION_DIFFERS' }),
  );
});

test('TRUNCATE of several tables is one backfill of the targets that read any of them', () => {
  const fold = newFold();
  fold.add(begin(7n));
  fold.add({ tag: 'truncate', cascade: true, restartIdentity: false, relations: [itemsRelation] });
  fold.add(commit(7n, 8n));
  const [parcel] = pack(fold.take());
  expect(parcel?.entry).toMatchObject({ kind: 'truncate', commitLsn: 7n, keyCount: 0 });
  expect(decode(parcel?.message.body ?? '', migration).message).toMatchObject({
    kind: 'backfill',
    reason: 'truncate',
    targets: ['of all'],
  });
  expect(parcel?.message.deduplicationId).toBe(parcel?.entry.id);
});

/** A folded insert whose row, as JSON, has about so many bytes. */
function oneRow(...sizes: number[]): Folded {
  const fold = newFold();
  fold.add(begin(1n));
  for (const [index, size] of sizes.entries()) {
    const id = `${index}${'ü'.repeat(size / 2)}`;
    fold.add({ tag: 'insert', relation: photosRelation, new: { id, project_id: 'a' } });
  }
  return fold.take();
}

test('messages are filled to 64 KiB of UTF-8; one row that is larger goes alone', () => {
  const parcels = pack(oneRow(30_000, 30_000, 30_000, 200_000, 10, 10));
  expect(parcels.map((parcel) => parcel.entry.keyCount)).toEqual([2, 1, 1, 2]);
  expect(parcels.map((parcel) => Buffer.byteLength(parcel.message.body) <= maxBodyBytes)).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

test('a row that no message can carry is an error that names the table', () => {
  expect(() => pack(oneRow(maxSingleRowBytes))).toThrow(
    expect.objectContaining({ code: 'LS_KEY_TOO_LARGE', message: expect.stringContaining('public.photos') }),
  );
});

test('a round that is read again goes under other ids', () => {
  const first = pack(oneRow(10)).map((parcel) => parcel.entry.id);
  const second = pack(oneRow(10)).map((parcel) => parcel.entry.id);
  expect(first).not.toEqual(second);
});
