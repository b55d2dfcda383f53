import { loadDirection } from '../../../engine/migration/load.ts';
import { switchDirection } from '../../../engine/phases/switch.ts';
import { syncBack } from '../../../engine/phases/sync.ts';
import { activeDirection } from '../../../engine/status/phase.ts';
import { validate } from '../../../engine/validate/validate.ts';
import { setting } from '../../../functions/settings.ts';
import { environment } from '../../../infra/contract.ts';
import { openDatabase } from '../../../infra/postgres/database.ts';
import { createSqsClient } from '../../../infra/sqs/client.ts';
import { countMessages } from '../../../infra/sqs/count.ts';
import { createAwsTelemetry } from '../../../infra/telemetry/aws.ts';
import { migration } from '../../../sql/migration.ts';
import type { Turn } from '../plan.ts';
import type { OperatorAnswer } from '../turn.ts';
import { hangOnParent } from './lifeline.ts';

/**
 * What an operator types to change the direction: `lockstep validate` (before a rollback `lockstep rollback sync` as well),
 * then `lockstep cutover` or `rollback switch`. Once; kills itself at the place that is the second argument. Its last line
 * is the answer.
 */
hangOnParent();
/** How long writers wait is not what is asked here, and the machine may be busy. */
const patienceMs = 30_000;
const [change, killedAt] = process.argv.slice(2) as [Turn['change'], string | undefined];
using telemetry = createAwsTelemetry({ service: 'operator', flushEveryMs: 1_000 });

async function turn(): Promise<OperatorAnswer> {
  await using database = await openDatabase({ applicationName: 'lockstep operator', max: 4, telemetry });
  const { pool } = database;
  const ending = change === 'cutover' ? 'forward' : 'reverse';
  const direction = migration[ending];
  if (direction && (await activeDirection(pool)) === ending) {
    if (ending === 'reverse') {
      const { outcome } = await syncBack({ pool, migration, deadlineMs: Date.now() + patienceMs, telemetry });
      if (outcome !== 'synced') return { done: false, why: [`sync: ${outcome}`] };
    }
    const loaded = await loadDirection(pool, ending, direction);
    const report = await validate({ pool, loaded, telemetry, barrierTimeoutMs: patienceMs });
    if (report.verdict !== 'agrees')
      return { done: false, why: [`validation: ${report.verdict}`], more: report.reasons };
  }
  const result = await switchDirection({
    pool,
    migration,
    change,
    maxPauseMs: patienceMs,
    limits: { lagMs: patienceMs, transactionAgeMs: patienceMs, inFlightAgeMs: 2 * patienceMs },
    deadLetters: await countMessages(createSqsClient(), setting(environment.deadLetterQueueUrl)),
    telemetry,
    failpoints: (place) => {
      if (place === killedAt) process.kill(process.pid, 'SIGKILL');
    },
  });
  switch (result.outcome) {
    case 'switched':
      return { done: true, pauseMs: result.pauseMs };
    case 'already':
      return { done: true };
    case 'refused':
    case 'aborted':
      return {
        done: false,
        why: result.refusals.map(({ name }) => name),
        more: result.refusals.map(({ reason }) => reason),
      };
    default:
      return { done: false, why: [result.outcome] };
  }
}

const answer = await turn().catch((error: Error & { code?: string }) => {
  return { done: false, why: [error.code ?? error.name], more: [error.message] };
});
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit());
