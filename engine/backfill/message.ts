import type { ApplyOutcome } from '../apply/outcome.ts';
import type { WorkContext } from '../apply/work.ts';
import { isConnectionLost, withConnection } from '../connection.ts';
import { holdEntry } from '../ledger/strike.ts';
import type { BackfillMessage } from '../message/message.ts';
import { remedyFor } from '../sqlstate.ts';
import { enterBackfill } from './record.ts';
import { runBackfill } from './run.ts';

/**
 * The part of a backfill that fits before `deadlineMs` (epoch). The run carries the message's id, so that its end
 * strikes out the ledger's entry.
 *
 * @throws errors that no repetition mends (SQLSTATE policy `stop`).
 */
export async function backfillMessageWork(
  context: WorkContext,
  message: BackfillMessage,
  deadlineMs: number,
): Promise<ApplyOutcome> {
  const known = new Set(context.loaded.targets.map((target) => target.name));
  const unknown = message.targets.find((target) => !known.has(target));
  if (unknown !== undefined)
    return { kind: 'unreadable', reason: `it names the target "${unknown}", which this migration does not have` };
  let entered: boolean;
  try {
    entered = await withConnection(context.pool, async (client) => {
      await client.query('BEGIN');
      const present = await holdEntry(client, message.id);
      if (present) await enterBackfill(client, context.loaded, message);
      await client.query('COMMIT');
      return present;
    });
  } catch (error) {
    if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
    return { kind: 'again', error: error as Error };
  }
  if (!entered) return { kind: 'duplicate' };
  const outcome = await runBackfill({ ...context, runId: message.id, deadlineMs });
  switch (outcome) {
    case 'finished':
      return { kind: 'done' };
    // The run's state is in the database; `lockstep backfill --resume` goes on with it.
    case 'paused':
      return { kind: 'done' };
    case 'fenced':
      return { kind: 'fenced' };
    case 'out of time':
      return { kind: 'continue' };
  }
}
