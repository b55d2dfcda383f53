import { type SwitchChange, switchDirection } from '../engine/phases/switch.ts';
import { setting } from '../functions/settings.ts';
import { environment } from '../infra/contract.ts';
import { createSqsClient } from '../infra/sqs/client.ts';
import { countMessages } from '../infra/sqs/count.ts';
import type { Answer, Context } from './command.ts';
import { confirm } from './confirm.ts';
import { openFor } from './database.ts';
import { loadMigration } from './migration-folder.ts';
import { switchText } from './text/switch.ts';

export interface SwitchRequest {
  readonly yes?: true;
  readonly dryRun?: true;
  /** Milliseconds. */
  readonly maxPause: number;
  /** Milliseconds. */
  readonly validatedWithin: number;
}

/** Changes the direction, or says what is against it. */
export async function runSwitch(
  context: Context,
  change: SwitchChange,
  what: string,
  request: SwitchRequest,
): Promise<Answer> {
  const migration = await loadMigration(context.folder);
  const deadLetterQueueUrl = setting(environment.deadLetterQueueUrl);
  if (!request.dryRun) await confirm(what, request.yes === true);
  await using database = await openFor(context, change);
  const client = createSqsClient({ queueUrl: deadLetterQueueUrl });
  try {
    const result = await switchDirection({
      pool: database.pool,
      migration,
      change,
      maxPauseMs: request.maxPause,
      limits: { validatedWithinMs: request.validatedWithin },
      deadLetters: await countMessages(client, deadLetterQueueUrl),
      telemetry: context.telemetry,
      dryRun: request.dryRun === true,
    });
    context.output.print({ event: change, ...result }, switchText(change, result));
    return ['switched', 'already', 'possible'].includes(result.outcome) ? 0 : 1;
  } finally {
    client.destroy();
  }
}
