import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, encode } from '../../engine/message/codec.ts';
import type { ChangesMessage, Message } from '../../engine/message/message.ts';
import { shardOf } from '../../engine/message/shard.ts';
import { migrationOf } from './support.ts';

const relation = { schema: 'public', name: 'x' };
const migration = migrationOf(
  { name: 'photos', relation, key: ['id'], routing: ['project_id'] },
  { name: 'items', relation, key: ['order_id', 'line'], routing: [] },
);

const value = fc.string({ unit: 'binary' });
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    version: fc.constant(1 as const),
    kind: fc.constant('changes' as const),
    id: fc.uuid(),
    direction: fc.constant('forward' as const),
    shard: fc.nat(),
    rows: fc.record(
      {
        photos: fc.array(fc.tuple(value, fc.option(value)), { minLength: 1 }),
        items: fc.array(fc.tuple(value, value), { minLength: 1 }),
      },
      { requiredKeys: [] },
    ) as fc.Arbitrary<ChangesMessage['rows']>,
  }),
  fc.record({
    version: fc.constant(1 as const),
    kind: fc.constant('backfill' as const),
    id: fc.uuid(),
    direction: fc.constant('forward' as const),
    reason: fc.constantFrom('first start' as const, 'truncate' as const),
    targets: fc.constantFrom(['of all'], ['of all', 'of the first']),
  }),
);

test('what is encoded is decoded to the same', () => {
  fc.assert(
    fc.property(message, (sent) => {
      const { message: read, malformed } = decode(encode(sent), migration);
      expect(malformed).toBeUndefined();
      expect(JSON.stringify(read)).toBe(JSON.stringify(sent));
    }),
  );
});

test('no body, however odd, makes decode throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
      expect(decode(body, migration).malformed).toEqual(expect.any(String));
    }),
  );
});

const good = {
  version: 1,
  kind: 'changes',
  id: '11111111-1111-4111-8111-111111111111',
  direction: 'forward',
  shard: 0,
  rows: { photos: [['1', null]] },
};
const bad: [string, object][] = [
  ['another version', { version: 2 }],
  ['another kind', { kind: 'snapshot' }],
  ['no id', { id: undefined }],
  ['an id that is no UUID', { id: '42' }],
  ['another direction', { direction: 'sideways' }],
  ['a direction that the migration lacks', { direction: 'reverse' }],
  ['a shard that is no number', { shard: '0' }],
  ['a field too many', { extra: 1 }],
  ['an unknown source', { rows: { videos: [['1', null]] } }],
  ['a row that is too short', { rows: { photos: [['1']] } }],
  ['a row that is too long', { rows: { items: [['1', '2', '3']] } }],
  ['a key that is NULL', { rows: { items: [['1', null]] } }],
  ['a value that is no text', { rows: { photos: [[1, null]] } }],
  ['no rows of a source', { rows: { photos: [] } }],
  ['a source that is a property of every object', { rows: { toString: [['1', null]] } }],
  ['an unknown target', { kind: 'backfill', rows: undefined, shard: undefined, reason: 'truncate', targets: ['?'] }],
  ['no targets', { kind: 'backfill', rows: undefined, shard: undefined, reason: 'truncate', targets: [] }],
];

test.each(bad)('malformed: %s', (_, change) => {
  expect(decode(JSON.stringify(good), migration).malformed).toBeUndefined();
  const { malformed } = decode(JSON.stringify({ ...good, ...change }), migration);
  expect(malformed).toMatch(/\.$/);
});

test('the reason tells no values', () => {
  const { malformed } = decode(JSON.stringify({ ...good, rows: { photos: [['secret key', 7]] } }), migration);
  expect(malformed).not.toContain('secret');
});

test('rows of one project share a shard, whatever their source; rows without routing go by their key', () => {
  fc.assert(
    fc.property(value, value, value, fc.integer({ min: 1, max: 4096 }), (a, b, project, shards) => {
      expect(shardOf([a, project], 1, shards)).toBe(shardOf([a, b, project], 2, shards));
      expect(shardOf([a, null], 1, shards)).toBe(shardOf([a], 1, shards));
      expect(shardOf([a, null], 1, shards)).toBeLessThan(shards);
    }),
  );
});

test('shards do not change from version to version', () => {
  expect(['a', 'b', 'c', 'd'].map((project) => shardOf(['1', project], 1, 16))).toMatchInlineSnapshot(`
    [
      3,
      9,
      15,
      12,
    ]
  `);
});

test('shards are filled evenly', () => {
  const counts = new Array<number>(16).fill(0);
  for (let id = 0; id < 16_000; id++) {
    const shard = shardOf([String(id), null], 1, 16);
    counts[shard] = (counts[shard] ?? 0) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(800);
});
