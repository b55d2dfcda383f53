import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { decide, parseRule } from '../../app/flags/rule.ts';

const rule = (value: unknown) => {
  const parsed = parseRule(value);
  if (!parsed) throw new Error('not understood');
  return parsed;
};
const flag = 'use_unified_media';
const users: readonly string[] = Array.from({ length: 4000 }, () => randomUUID());
const on = (value: unknown, key = flag) => users.filter((user) => decide(key, rule(value), user).value);

test('true and false, on and off', () => {
  expect(on(true)).toHaveLength(users.length);
  expect(on({ state: 'on' })).toHaveLength(users.length);
  expect(on(false)).toEqual([]);
  expect(on({ state: 'off', percentage: 100 })).toEqual([]);
  expect(decide(flag, rule(true), undefined)).toEqual({ value: true, reason: 'STATIC' });
});

test('a percentage is that many of the users, and a higher one the same and more', () => {
  let before: string[] = [];
  for (const percentage of [0, 1, 10, 50, 100]) {
    const now = on({ state: 'percentage', percentage });
    expect(Math.abs(now.length / users.length - percentage / 100)).toBeLessThan(0.03);
    const included = new Set(now);
    expect(before.filter((user) => !included.has(user))).toEqual([]);
    before = now;
  }
  expect(before).toHaveLength(users.length);
});

test('the same user has the same place in every process: the hash is what it is', () => {
  const place = (percentage: number) =>
    decide(flag, rule({ state: 'percentage', percentage }), 'a0000000-0000-0000-0000-000000000001').value;
  const first = Array.from({ length: 101 }, (_, n) => n).find(place);
  expect(first).toBe(51);
});

test('not the same users come first with every flag', () => {
  const half = { state: 'percentage', percentage: 50 };
  const other = new Set(on(half, 'use_normalized_subscriptions'));
  const both = on(half).filter((user) => other.has(user));
  expect(both.length / users.length).toBeGreaterThan(0.2);
  expect(both.length / users.length).toBeLessThan(0.3);
});

test('who is denied is denied, who is allowed is allowed, and to be denied weighs more', () => {
  const [one = '', two = '', three = ''] = users;
  const value = rule({ state: 'off', allow: [one, two], deny: [two] });
  expect(decide(flag, value, one)).toEqual({ value: true, reason: 'TARGETING_MATCH' });
  expect(decide(flag, value, two)).toEqual({ value: false, reason: 'TARGETING_MATCH' });
  expect(decide(flag, value, three).value).toBe(false);
  expect(decide(flag, rule({ state: 'on', deny: [three] }), three).value).toBe(false);
});

test('without a user a percentage is off', () => {
  expect(decide(flag, rule({ state: 'percentage', percentage: 100 }), undefined)).toEqual({
    value: false,
    reason: 'SPLIT',
  });
});

test.each([
  null,
  'on',
  1,
  { state: 'maybe' },
  { state: 'percentage', percentage: 101 },
  { state: 'on', users: [] },
  { state: 'on', deny: 'all' },
])('%j is not understood', (value) => {
  expect(parseRule(value)).toBeUndefined();
});
