import type pg from 'pg';
import { connectionLost } from '../connection.ts';
import { LockstepError } from '../errors.ts';
import { switchLock } from '../locks.ts';
import { readPhase } from '../status/phase.ts';
import { textRows } from '../text-query.ts';
import { Refused, type SwitchContext, type Turned } from './attempt.ts';
import type { Phase } from './transitions.ts';

/** Takes the turn for this session: one change of the phase at a time. False: another has it. */
export async function takeTurn(client: pg.ClientBase): Promise<boolean> {
  const [row] = await textRows<{ taken: string }>(client, 'SELECT pg_try_advisory_lock($1) AS taken', [switchLock()]);
  return row?.taken === 't';
}

/** Whether nobody has the turn. */
export async function turnIsFree(pool: pg.Pool): Promise<boolean> {
  const sql = 'SELECT pg_try_advisory_xact_lock($1) AS free';
  const [row] = await textRows<{ free: string }>(pool, sql, [switchLock()]);
  return row?.free === 't';
}

/** A server that has crashed, or is being replaced, may be back in this time; a function's invocation lasts so long. */
const askForMs = 8_000;
const askEveryMs = 100;

/**
 * A connection that is lost at the commit leaves it open whether it took place; the phase says, once it can be asked.
 *
 * @throws LockstepError LS_DATABASE_LOST when it does not say so in time.
 */
export async function wasCommitted(
  { client, pool, starting }: SwitchContext,
  error: unknown,
): Promise<Turned | undefined> {
  if (!connectionLost(client) || error instanceof Refused) return undefined;
  const untilMs = performance.now() + askForMs;
  for (;;) {
    const phase = await phaseAfterwards(pool).catch(() => undefined);
    if (phase !== undefined) return phase === starting ? { pauseMs: 0, scopesCompared: 0 } : undefined;
    if (performance.now() >= untilMs) throw unknownOutcome(error);
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
  }
}

/**
 * Undefined while the session of the lost connection is still there: it may be committing (and wait for the disk, or a
 * standby), and knows nothing of the connection. It holds the turn until it has ended.
 */
async function phaseAfterwards(pool: pg.Pool): Promise<Phase | undefined> {
  return (await turnIsFree(pool)) ? await readPhase(pool) : undefined;
}

function unknownOutcome(cause: unknown): LockstepError {
  const message = `The connection broke during the change of the direction, and within ${askForMs / 1000} s the database has not said whether it has taken place; \`lockstep status\` shows the phase.`;
  return new LockstepError('LS_DATABASE_LOST', message, { cause });
}
