import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startWorker } from '../../cli/dev/worker.ts';
import { silent } from '../../engine/telemetry.ts';

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
