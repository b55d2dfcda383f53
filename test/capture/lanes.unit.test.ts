import { expect, test } from 'vitest';
import type { Folded, FoldedRows, Transaction } from '../../engine/capture/fold.ts';
import { Lanes } from '../../engine/capture/lanes.ts';
import { shardOf } from '../../engine/message/shard.ts';
import type { Source } from '../../engine/migration/contract.ts';

const source = (name: string): Source => ({
  name,
  relation: { schema: 'public', name },
  key: ['id'],
  routing: ['project_id'],
});
const photos = source('photos');
const videos = source('videos');
const shards = 16;
const transaction: Transaction = { commitLsn: 1n, committedAtMicros: 1n, xid: 1 };

/** So many photos, and half as many videos, each of a project of its own, as `Fold` has them. */
function folded(count: number): Folded {
  const byShard = new Map<number, FoldedRows>();
  let keys = 0;
  const add = (of: Source, id: number) => {
    const row = [`${of.name} ${id}`, `project ${id}`];
    const shard = shardOf(row, 1, shards);
    const rows = byShard.get(shard) ?? new Map();
    byShard.set(shard, rows.set(of, (rows.get(of) ?? new Map()).set(JSON.stringify(row), transaction)));
    keys += 1;
  };
  for (let id = 0; id < count; id += 1) {
    add(photos, id);
    if (id % 2 === 0) add(videos, id);
  }
  return { shards: byShard, truncated: new Map(), keys, xids: new Set(), position: 1n, lastCommit: transaction };
}

const identities = ({ shards: byShard }: Folded) =>
  [...byShard].flatMap(([shard, rows]) =>
    [...rows].flatMap(([{ name }, changed]) => [...changed.keys()].map((row) => ({ shard, row: `${name} ${row}` }))),
  );

test('a small round is few messages, and names what it would have named in many', () => {
  for (const [count, messages] of [
    [1, 1],
    [20, 1],
    [60, 3],
    [300, 15],
    [400, 16],
  ] as const) {
    const round = folded(count);
    const gathered = new Lanes(shards).gather(folded(count));
    expect({ count, messages: gathered.shards.size }).toEqual({ count, messages });
    const rows = (of: Folded) => identities(of).map(({ row }) => row);
    expect(rows(gathered).sort()).toEqual(rows(round).sort());
    expect({ ...gathered, shards: undefined }).toEqual({ ...round, shards: undefined });
  }
});

test('rows of one project stay together', () => {
  const places = new Map<string, Set<number>>();
  for (const { shard, row } of identities(new Lanes(shards).gather(folded(200)))) {
    const project = /project \d+/.exec(row)?.[0] ?? '';
    places.set(project, (places.get(project) ?? new Set()).add(shard));
  }
  expect(places.size).toBe(200);
  expect([...places.values()].filter(({ size }) => size !== 1)).toEqual([]);
});

test('small rounds go through all shards in turn, large ones to all of them', () => {
  const lanes = new Lanes(shards);
  const used = Array.from({ length: shards }, () => [...lanes.gather(folded(10)).shards.keys()]);
  expect(used.map(([shard]) => shard)).toEqual(Array.from({ length: shards }, (_, index) => index));
  expect([...lanes.gather(folded(60)).shards.keys()].sort()).toEqual([0, 1, 2]);
  expect([...lanes.gather(folded(60)).shards.keys()].sort()).toEqual([3, 4, 5]);
  const large = folded(1_000);
  expect(lanes.gather(large)).toBe(large);
});
