import type { Pgoutput } from 'pg-logical-replication';
import { expect, test } from 'vitest';
import { Fold, type Folded } from '../../engine/capture/fold.ts';
import { formatLsn, type Lsn } from '../../engine/lsn.ts';
import type { DirectionName, Source } from '../../engine/migration/contract.ts';
import { phaseMessagePrefix } from '../../engine/phases/announcement.ts';

const rows: Source = { name: 'rows', relation: { schema: 'public', name: 'rows' }, key: ['id'], routing: [] };
const relation: Pgoutput.MessageRelation = {
  tag: 'relation',
  relationOid: 1,
  ...rows.relation,
  replicaIdentity: 'default',
  columns: [{ name: 'id', flags: 0, typeOid: 25, typeMod: -1, typeSchema: null, typeName: null, parser: String }],
  keyColumns: ['id'],
};

function newFold(direction: DirectionName): Fold {
  const fold = new Fold(new Map([[1, rows]]), 4, () => {}, direction);
  fold.add(relation);
  return fold;
}

/** One transaction: rows by their ids, and announcements as `-> phase`. */
function transaction(fold: Fold, commitLsn: Lsn, ...what: readonly string[]): void {
  fold.add({ tag: 'begin', commitLsn: formatLsn(commitLsn), commitTime: 0n, xid: Number(commitLsn) });
  for (const item of what) {
    if (!item.startsWith('-> ')) fold.add({ tag: 'insert', relation, new: { id: item } });
    else {
      const content = Buffer.from(JSON.stringify({ to: item.slice(3) }));
      const prefix = phaseMessagePrefix;
      fold.add({ tag: 'message', flags: 1, transactional: true, messageLsn: '0/1', prefix, content });
    }
  }
  const end = formatLsn(commitLsn + 1n);
  fold.add({ tag: 'commit', flags: 0, commitLsn: formatLsn(commitLsn), commitEndLsn: end, commitTime: 0n });
}

const ids = ({ shards }: Folded) =>
  [...shards.values()]
    .flatMap((bySource) => [...(bySource.get(rows)?.keys() ?? [])].map((row) => JSON.parse(row)[0]))
    .sort();

test('both streams turn at the commit that announces it: one folds what comes before, the other what comes after', () => {
  const [forward, reverse] = [newFold('forward'), newFold('reverse')];
  forward.beginAs(true);
  reverse.beginAs(false);
  for (const fold of [forward, reverse]) {
    transaction(fold, 10n, 'before');
    transaction(fold, 20n, 'with', '-> reverse');
    transaction(fold, 30n, 'after');
    transaction(fold, 40n, '-> forward');
    transaction(fold, 50n, 'again');
  }
  const [one, other] = [forward.take(), reverse.take()];
  expect(ids(one)).toEqual(['again', 'before', 'with']);
  expect(ids(other)).toEqual(['after']);
  // What is not folded is read all the same: the slot moves on, and no WAL piles up behind it.
  expect([one.position, other.position]).toEqual([51n, 51n]);
});

test('a transaction that announces a phase must be seen by others before the position moves beyond it', () => {
  const fold = newFold('reverse');
  fold.beginAs(false);
  transaction(fold, 10n, 'before');
  transaction(fold, 20n, '-> reverse');
  expect([...fold.take().xids]).toEqual([20]);
});

test('what was read before it was known that the direction is not active is forgotten, unless a change was announced since', () => {
  const idle = newFold('reverse');
  transaction(idle, 10n, 'early');
  idle.beginAs(false);
  expect(ids(idle.take())).toEqual([]);
  const turned = newFold('reverse');
  transaction(turned, 10n, '-> reverse');
  transaction(turned, 20n, 'counts');
  turned.beginAs(false);
  expect(ids(turned.take())).toEqual(['counts']);
});

test("the application's own logical messages turn nothing", () => {
  const fold = newFold('forward');
  fold.add({ tag: 'begin', commitLsn: '0/A', commitTime: 0n, xid: 1 });
  const content = Buffer.from('{"to":"reverse"}');
  fold.add({ tag: 'message', flags: 1, transactional: true, messageLsn: '0/1', prefix: 'lockstep.barrier', content });
  fold.add({ tag: 'commit', flags: 0, commitLsn: '0/A', commitEndLsn: '0/B', commitTime: 0n });
  transaction(fold, 20n, 'still');
  expect(ids(fold.take())).toEqual(['still']);
});
