import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A queue in a process of its own. */
export interface QueueProcess extends AsyncDisposable {
  /** Settings by which another process uses it. */
  readonly settings: Readonly<Record<string, string>>;
  readonly pid: number;
  /** Requests by action since the last call. */
  takeCounts(): Promise<Record<string, number>>;
}

type Ready = { endpoint: string; region: string; queueUrl: string; deadLetterQueueUrl: string };

/** Starts an empty queue. */
export async function startQueueProcess(): Promise<QueueProcess> {
  const child: ChildProcess = fork(fileURLToPath(new URL('../processes/queue.ts', import.meta.url)), {
    stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
  });
  const [ready] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('the queue did not start'))),
  ])) as [Ready];
  return {
    pid: child.pid ?? 0,
    settings: {
      LOCKSTEP_QUEUE_URL: ready.queueUrl,
      LOCKSTEP_DEAD_LETTER_QUEUE_URL: ready.deadLetterQueueUrl,
      AWS_ENDPOINT_URL_SQS: ready.endpoint,
      AWS_REGION: ready.region,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    },
    async takeCounts() {
      const answer = once(child, 'message');
      child.send('counts');
      const [{ requests }] = (await answer) as [{ requests: Record<string, number> }];
      return requests;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
