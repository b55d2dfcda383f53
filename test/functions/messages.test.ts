import { randomUUID } from 'node:crypto';
import { type Message, SendMessageCommand } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encode } from '../../engine/message/codec.ts';
import { startApplying, startListening, stillWorld } from '../e2e/world.ts';
import { addUsers, id } from '../sql/world.ts';
import { takeDeadLetters } from '../support/dead-letters.ts';
import { eventually } from '../support/eventually.ts';
import type { TestQueue } from '../support/queue.ts';

async function send({ sqs, queueUrl }: TestQueue, group: string, MessageBody: string): Promise<void> {
  const ids = { MessageGroupId: group, MessageDeduplicationId: randomUUID() };
  await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody, ...ids }));
}

const good = (kind: string, more: object = {}) => ({
  version: 1,
  kind,
  id: randomUUID(),
  direction: 'forward',
  ...more,
});
/** Every malformed shape by hand; then some that chance makes. */
function malformed(): string[] {
  const rows = (value: unknown) => JSON.stringify(good('changes', { shard: 0, rows: value }));
  const byHand = [
    ' ',
    '{',
    'null',
    '[]',
    '"text"',
    '1e999',
    '{"version":2}',
    JSON.stringify(good('nothing')),
    JSON.stringify(good('backfill', { reason: 'first start', targets: [] })),
    JSON.stringify(good('backfill', { reason: 'no reason', targets: ['media_files'] })),
    JSON.stringify(good('backfill', { reason: 'truncate', targets: ['media_files; DROP TABLE users'] })),
    JSON.stringify({ ...good('changes', { shard: 0, rows: {} }), id: 'x' }),
    JSON.stringify({ ...good('changes', { shard: 0, rows: {} }), direction: 'sideways' }),
    JSON.stringify(good('changes', { shard: -1, rows: {} })),
    rows({ users: [] }),
    rows({ users: [[null]] }),
    rows({ users: [['a', 'b']] }),
    rows({ users: [[1]] }),
    rows({ users: 'all' }),
    rows({ 'no such table': [['1']] }),
    rows({ '"\'; DROP TABLE users; --': [['1']] }),
    rows({ 'nul \u0000 and \u001b[31m': [['1']] }),
    rows({ ['x'.repeat(100_000)]: [['1']] }),
    `{"__proto__":{"version":1},"version":1,"kind":"changes"}`,
    // As large as SQS takes: with the reason beside it, it would be too large.
    `"${'x'.repeat(1024 * 1024 - 2)}"`,
  ];
  const byChance = fc.sample(fc.jsonValue(), { numRuns: 40, seed: 7 }).map((value) => encode(value as never));
  return [...byHand, ...byChance.filter((body) => body !== '')];
}

test('every malformed message ends in the dead-letter queue with a reason, and what stands behind it in its group is applied', {
  timeout: 300_000,
}, async () => {
  await using world = await stillWorld();
  const { queue, app } = world;
  const bodies = malformed();
  // Before anything else, in the groups that the listener uses.
  for (const [index, body] of bodies.entries()) await send(queue, `forward-${index % 16}`, body);
  await addUsers(app, ...Array.from({ length: 40 }, (_, n) => n + 1));
  await using _applying = await startApplying(world);
  await using _listening = await startListening(world);
  await world.settle();
  expect((await app.query('SELECT FROM user_subscriptions')).rowCount).toBe(40);
  await app.query('UPDATE users SET subscription_plan = $1 WHERE id = $2', ['pro', id('user', 7)]);
  await world.sync();

  const dead: Message[] = [];
  await eventually(async () => {
    dead.push(...(await takeDeadLetters(queue)));
    return dead.length >= bodies.length;
  });
  expect(dead).toHaveLength(bodies.length);
  const largest = Math.max(...bodies.map((body) => body.length));
  const kept = bodies.filter((body) => body.length < largest);
  expect(
    dead
      .map(({ Body }) => Body)
      .filter((body) => (body ?? '').length < largest - 2_000)
      .sort(),
  ).toEqual(kept.sort());
  for (const { MessageAttributes } of dead) {
    const reason = MessageAttributes?.reason?.StringValue ?? '';
    expect(reason).toMatch(/^\w.*\S/);
    expect(reason.length).toBeLessThan(1_200);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is the point
    expect(reason).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/);
  }
});
