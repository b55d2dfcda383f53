import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { listenerFlags, startWorker } from '../../cli/dev/worker.ts';
import { silent } from '../../engine/telemetry.ts';
import { checkout } from './lockstep.ts';

test('a listener has the same flags of Node wherever it is started', () => {
  for (const [file, quotes] of [
    ['cli/bin.js', "'"],
    ['cdk/listener/Dockerfile', '"'],
  ] as const)
    expect(readFileSync(join(checkout, file), 'utf8')).toContain(
      listenerFlags.map((flag) => `${quotes}${flag}${quotes}`).join(', '),
    );
});

test('a part of the machine that ends by itself, without a word, is told of', async () => {
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<Error>();
  const worker = startWorker({
    name: 'applier',
    folder: fileURLToPath(new URL('../../sql', import.meta.url)),
    env: { ...process.env, NODE_OPTIONS: '--import=data:text/javascript,process.exit(3)' },
    telemetry: silent,
    onEnded,
  });
  expect(await ended).toMatchObject({
    code: 'LS_WORKER_ENDED',
    message: 'The applier ended by itself with exit code 3.',
  });
  await worker.stop();
});
