import { expect, test } from 'vitest';
import { judge, type Probe } from '../../engine/capture/lost-messages.ts';

const suspect = (id: string, group = 'forward-1') => ({ id, kind: 'changes' as const, shard: 1, group });
const nothing = { lost: [], toProbe: [] };
const probed = (more: Partial<Probe>) => new Map([['forward-1', { id: 'probe', sentAtMs: 0, before: ['a'], ...more }]]);
const judgeAt = (nowMs: number, probes: ReadonlyMap<string, Probe>, ...ids: string[]) =>
  judge(
    ids.map((id) => suspect(id)),
    probes,
    nowMs,
    1_000,
  );

test('what is old is probed, group by group', () => {
  const found = judge([suspect('a'), suspect('b', 'forward-2'), suspect('c')], new Map(), 0, 1_000);
  expect(found).toEqual({ lost: [], toProbe: ['forward-1', 'forward-2'] });
});

test('it is lost only when a later message of its group has been finished for as long as a batch can take', () => {
  // The queue is slow: the probe waits behind it.
  expect(judgeAt(900, probed({}), 'a')).toEqual(nothing);
  expect(judgeAt(1_900, probed({ finishedAtMs: 900 }), 'a')).toEqual(nothing);
  expect(judgeAt(1_901, probed({ finishedAtMs: 900 }), 'a')).toEqual({ lost: [suspect('a')], toProbe: [] });
});

test('a probe says nothing about what has become old after it, and may be lost itself', () => {
  expect(judgeAt(0, probed({ finishedAtMs: 0 }), 'c')).toEqual({ lost: [], toProbe: ['forward-1'] });
  // As long as the first question is open no other one is asked.
  expect(judgeAt(0, probed({ finishedAtMs: 0 }), 'a', 'c')).toEqual(nothing);
  expect(judgeAt(1_001, probed({}), 'a')).toEqual({ lost: [], toProbe: ['forward-1'] });
});
