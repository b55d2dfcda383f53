import { silent } from '../../engine/telemetry.ts';
import { buildApply } from '../../functions/apply/build.ts';
import { listen } from '../../functions/listener/build.ts';
import { setting } from '../../functions/settings.ts';
import { defaultShards, environment } from '../../infra/contract.ts';
import { startEventSource } from '../../infra/local/event-source.ts';
import { openDatabase } from '../../infra/postgres/database.ts';
import { createSqsClient } from '../../infra/sqs/client.ts';
import { migration } from '../../sql/migration.ts';

/**
 * A process of its own, as it is deployed, that is killed (SIGKILL: no handler runs, nothing is flushed) when it gets to
 * a named place for the nth time. Arguments: `listener` or `applier`, the place, n, the queue's ARN.
 */
const [part, place, times, queueArn = ''] = process.argv.slice(2);
let left = Number(times);
const failpoints = (reached: string) => {
  if (reached !== place) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
};
const client = createSqsClient();
const queueUrl = setting(environment.queueUrl);
if (part === 'listener') {
  await listen({
    client,
    queueUrl,
    migration,
    direction: 'forward',
    shards: defaultShards,
    telemetry: silent,
    signal: new AbortController().signal,
    standby: true,
    failpoints,
  });
} else {
  const concurrency = 1;
  const { pool } = await openDatabase({ applicationName: 'lockstep apply', max: 2 });
  const deadLetterQueueUrl = setting(environment.deadLetterQueueUrl);
  const parts = { pool, client, queueUrl, deadLetterQueueUrl, migration, telemetry: silent, concurrency, failpoints };
  await startEventSource({ client, queueUrl, queueArn, handler: buildApply(parts), concurrency }).finished;
}
