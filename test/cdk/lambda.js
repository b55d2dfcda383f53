/**
 * What Lambda's runtime does, as a process of its own: loads the handler that `_HANDLER` names below LAMBDA_TASK_ROOT and
 * invokes it with each event that comes over the channel, one at a time.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const startedMs = performance.now();
const [, file, name] = /^(.+)\.([^.]+)$/.exec(process.env._HANDLER);
const { [name]: handler } = await import(pathToFileURL(join(process.env.LAMBDA_TASK_ROOT, `${file}.mjs`)).href);
process.on('message', async ({ id, event, timeoutMs }) => {
  const deadlineMs = Date.now() + timeoutMs;
  try {
    const result = await handler(event, { getRemainingTimeInMillis: () => deadlineMs - Date.now() });
    process.send({ id, result });
  } catch (error) {
    process.send({ id, error: { code: error.code, message: error.message } });
  }
});
process.send({ ready: performance.now() - startedMs });
