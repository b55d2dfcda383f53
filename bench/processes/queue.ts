/**
 * The queue as a process of its own, as it is in production, which counts the requests that arrive. It says where it is
 * (`{ kind: 'ready', … }`), answers `counts` with the number of requests by action since the last answer, and ends with
 * its parent.
 */
import { subscribe } from 'node:diagnostics_channel';
import { startQueue } from '../../infra/local/queue.ts';

const requests: Record<string, number> = {};
subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: { headers: Record<string, string | undefined> } };
  const action = request.headers['x-amz-target']?.split('.')[1] ?? 'other';
  requests[action] = (requests[action] ?? 0) + 1;
});

const queue = await startQueue();
process.on('disconnect', () => void queue.stop().then(() => process.exit(0)));
process.on('message', () => {
  process.send?.({ kind: 'counts', requests: { ...requests } });
  for (const action of Object.keys(requests)) delete requests[action];
});
const { endpoint, region, queueUrl, deadLetterQueueUrl } = queue;
process.send?.({ kind: 'ready', endpoint, region, queueUrl, deadLetterQueueUrl });
