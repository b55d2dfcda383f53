import type { ClientBase } from 'pg';
import pg from 'pg';
import { LockstepError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { dropInvalidIndex, readIndexState } from './concurrent-index.ts';
import { stepFailure } from './failure.ts';
import type { StepFile } from './folder.ts';
import { describeOpenTransactions, isLockFailure, type LockLimits, withLockRetries } from './lock-wait.ts';
import { recordApplied, recordBegun, type StepRecord } from './record.ts';
import { parseScript, type Statement } from './script.ts';

export interface ApplyContext {
  readonly client: ClientBase;
  readonly limits: LockLimits;
  readonly telemetry: Telemetry;
}

/**
 * Applies one step and records it. In a transaction, both happen or neither; outside of one, each statement is noted
 * before it runs, and a later try goes on where this one stopped (`begun`).
 * Throws LS_STEP_FAILED, LS_STEP_HALTED (outside of a transaction) or LS_STEP_LOCKED.
 */
export async function applyStep(context: ApplyContext, step: StepFile, begun?: StepRecord): Promise<void> {
  const startedAt = performance.now();
  if (step.transaction) await applyInTransaction(context, step, startedAt);
  else await applyOutside(context, step, startedAt, begun);
  const durationMs = Math.round(performance.now() - startedAt);
  context.telemetry.log('info', 'step applied', { owner: step.owner, step: step.name, durationMs });
}

async function applyInTransaction({ client, limits, telemetry }: ApplyContext, step: StepFile, startedAt: number) {
  await withPatience({ client, limits, telemetry }, step, async () => {
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL lock_timeout = ${Math.round(limits.lockTimeoutMs)}`);
      for (const statement of step.statements) await run(client, 'LS_STEP_FAILED', step, statement);
      await recordApplied(client, step, performance.now() - startedAt);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  });
}

async function applyOutside(context: ApplyContext, step: StepFile, startedAt: number, begun?: StepRecord) {
  const { client, limits } = context;
  const resumeAt = begun?.statementsBegun ?? 1;
  if (begun) await assertDonePartUnchanged(step, begun);
  for (const [index, statement] of step.statements.entries()) {
    const number = index + 1;
    if (number < resumeAt) continue;
    await recordBegun(client, step, number);
    if (begun && number === resumeAt && statement.index) {
      if ((await readIndexState(client, statement.index)) === 'valid') continue;
      await dropInvalidIndex(client, statement.index);
    }
    // Waits of a concurrent statement hold no lock that a writer needs, and must outlast long transactions.
    await client.query(`SET lock_timeout = ${statement.concurrent ? 0 : Math.round(limits.lockTimeoutMs)}`);
    await withPatience(context, step, () => run(client, 'LS_STEP_HALTED', step, statement));
    if (statement.index && (await readIndexState(client, statement.index)) !== 'valid') {
      throw stepFailure('LS_STEP_HALTED', step, statement, new Error(`index "${statement.index.name}" is not valid`));
    }
  }
  await recordApplied(client, step, performance.now() - startedAt);
}

async function run(
  client: ClientBase,
  code: 'LS_STEP_FAILED' | 'LS_STEP_HALTED',
  step: StepFile,
  statement: Statement,
) {
  try {
    await client.query(statement.text);
  } catch (error) {
    if (isLockFailure(error) || !(error instanceof pg.DatabaseError)) throw error;
    throw stepFailure(code, step, statement, error);
  }
}

async function withPatience({ client, limits, telemetry }: ApplyContext, step: StepFile, attempt: () => Promise<void>) {
  try {
    await withLockRetries(limits, attempt, () => telemetry.log('info', 'step waits for a lock', { step: step.name }));
  } catch (error) {
    if (!isLockFailure(error)) throw error;
    const seconds = Math.round(limits.patienceMs / 1000);
    const holders = await describeOpenTransactions(client);
    throw new LockstepError('LS_STEP_LOCKED', `${step.path} found a table locked for ${seconds} s. ${holders}`, {
      cause: error,
    });
  }
}

/** A step that halted may be corrected from the statement at fault on; what has run stays as it ran. */
async function assertDonePartUnchanged(step: StepFile, begun: StepRecord): Promise<void> {
  const before = await parseScript(step.path, begun.body);
  for (const [index, done] of before.statements.slice(0, begun.statementsBegun - 1).entries()) {
    if (step.statements[index]?.text === done.text) continue;
    throw new LockstepError(
      'LS_STEP_EDITED',
      `${step.path} was edited after statement ${index + 1} of it (line ${done.line}) had been applied.`,
    );
  }
}
