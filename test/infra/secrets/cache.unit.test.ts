import { expect, test } from 'vitest';
import { createSecretCache } from '../../../infra/secrets/cache.ts';

function counted(answers: (() => unknown)[]) {
  let fetches = 0;
  const send = async () => answers[Math.min(fetches++, answers.length - 1)]?.();
  return { client: { send: send as never }, fetches: () => fetches };
}

const text = (SecretString: string) => () => ({ SecretString });

test('a secret is fetched once until it is old or forgotten', async () => {
  const { client, fetches } = counted([text('a'), text('b'), text('c')]);
  let nowMs = 0;
  const cache = createSecretCache({ client, ttlMs: 1000, clock: { nowMs: () => nowMs } });
  expect(await Promise.all([cache.read('x'), cache.read('x')])).toEqual(['a', 'a']);
  nowMs = 999;
  expect(await cache.read('x')).toBe('a');
  nowMs = 1000;
  expect(await cache.read('x')).toBe('b');
  cache.forget('x');
  expect(await cache.read('x')).toBe('c');
  expect(fetches()).toBe(3);
});

test('a failure is told with the name of the secret, and not remembered', async () => {
  const denied = () => {
    throw Object.assign(new Error('you may not'), { name: 'AccessDeniedException' });
  };
  const { client } = counted([denied, text('a')]);
  const cache = createSecretCache({ client });
  await expect(cache.read('arn:x')).rejects.toMatchObject({
    code: 'LS_SECRET_UNREADABLE',
    message: 'The secret arn:x cannot be read: AccessDeniedException.',
  });
  expect(await cache.read('arn:x')).toBe('a');
});
