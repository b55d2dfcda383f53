import type pg from 'pg';
import { backfillMessageWork } from '../backfill/message.ts';
import { type Clock, systemClock } from '../clock.ts';
import { isConnectionLost, withConnection } from '../connection.ts';
import type { Failpoints } from '../failpoint.ts';
import { presentInLedger, strikeFenced } from '../ledger/strike.ts';
import { beginMerge } from '../merge/transaction.ts';
import type { BackfillMessage, ChangesMessage, Message } from '../message/message.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { healEveryMs, healSome } from '../quarantine/heal.ts';
import { remedyFor, sqlState } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';
import { type ApplyLimits, defaultLimits } from './limits.ts';
import type { ApplyOutcome } from './outcome.ts';
import { misfit, sliceRows } from './slices.ts';
import { doWork, noCounts, type WorkContext, type WorkCounts } from './work.ts';

export interface ApplierOptions {
  readonly pool: pg.Pool;
  readonly loaded: LoadedDirection;
  readonly telemetry: Telemetry;
  readonly limits?: ApplyLimits;
  readonly failpoints?: Failpoints;
  readonly clock?: Clock;
}

export interface Applier {
  /**
   * Handles messages as one set of work; one outcome each, in order. What fails for a passing reason is tried again
   * until `deadlineMs` (epoch).
   *
   * @throws errors that no repetition mends (SQLSTATE policy `stop`).
   */
  apply(messages: readonly Message[], options: { readonly deadlineMs: number }): Promise<ApplyOutcome[]>;
}

export function createApplier(options: ApplierOptions): Applier {
  const context: WorkContext = {
    pool: options.pool,
    loaded: options.loaded,
    telemetry: options.telemetry,
    limits: options.limits ?? defaultLimits,
    failpoints: options.failpoints ?? (() => {}),
    clock: options.clock ?? systemClock,
  };
  let healedAtMs = context.clock.nowMs();
  return {
    async apply(messages, { deadlineMs }) {
      const outcomes = await applyMessages(context, messages, deadlineMs);
      const nowMs = context.clock.nowMs();
      if (nowMs - healedAtMs >= healEveryMs && deadlineMs - nowMs > healTimeMs) {
        healedAtMs = nowMs;
        await healQuietly(context, nowMs + healTimeMs);
      }
      return outcomes;
    },
  };
}

/** Time that a batch may spend on quarantined scopes after its own work. */
const healTimeMs = 5_000;

/** The batch is finished; what goes wrong here must not have it delivered again. */
async function healQuietly(context: WorkContext, deadlineMs: number): Promise<void> {
  try {
    await healSome(context, deadlineMs);
  } catch (error) {
    context.telemetry.log('error', 'quarantined scopes could not be merged again', { sqlState: sqlState(error) });
  }
}

async function applyMessages(
  context: WorkContext,
  messages: readonly Message[],
  deadlineMs: number,
): Promise<ApplyOutcome[]> {
  const outcomes = new Map<string, ApplyOutcome>();
  let entered: Set<string>;
  try {
    entered = await withConnection(context.pool, (client) =>
      presentInLedger(
        client,
        messages.map((message) => message.id),
      ),
    );
  } catch (error) {
    if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
    return messages.map(() => ({ kind: 'again', error: error as Error }));
  }
  const due: Message[] = [];
  for (const message of messages) {
    if (message.direction !== context.loaded.name) outcomes.set(message.id, { kind: 'fenced' });
    else if (!entered.has(message.id)) outcomes.set(message.id, { kind: 'duplicate' });
    else if (!due.some(({ id }) => id === message.id)) due.push(message);
  }
  const changes: ChangesMessage[] = [];
  for (const message of due) {
    if (message.kind !== 'changes') continue;
    const reason = misfit(context.loaded, message);
    if (reason === undefined) changes.push(message);
    else outcomes.set(message.id, { kind: 'unreadable', reason });
  }
  if (changes.length > 0) await applyChanges(context, changes, deadlineMs, outcomes);
  for (const message of due.filter((candidate): candidate is BackfillMessage => candidate.kind === 'backfill')) {
    outcomes.set(message.id, await backfillMessageWork(context, message, deadlineMs));
  }
  const fenced = [...outcomes].filter(([, outcome]) => outcome.kind === 'fenced').map(([id]) => id);
  if (fenced.length > 0) await forgetFenced(context, fenced);
  return messages.map(({ id }) => outcomes.get(id) ?? { kind: 'duplicate' });
}

/** Should this fail, the entries stay until the phase changes once more, which strikes out all that are left. */
async function forgetFenced({ pool, loaded }: WorkContext, ids: readonly string[]): Promise<void> {
  await withConnection(pool, async (client) => {
    await beginMerge(client, loaded.name, {});
    await strikeFenced(client, loaded.name, ids);
    await client.query('COMMIT');
  }).catch((error: unknown) => {
    if (remedyFor(error, isConnectionLost(error)) !== 'retry') throw error;
  });
}

/** Together, because rows of several messages often share scopes; one by one when one of them cannot be read. */
async function applyChanges(
  context: WorkContext,
  messages: readonly ChangesMessage[],
  deadlineMs: number,
  outcomes: Map<string, ApplyOutcome>,
): Promise<void> {
  const outcome = await applyTogether(context, messages, deadlineMs);
  if (outcome.kind === 'unreadable' && messages.length > 1) {
    for (const message of messages) outcomes.set(message.id, await applyTogether(context, [message], deadlineMs));
    return;
  }
  for (const { id } of messages) outcomes.set(id, outcome);
}

async function applyTogether(
  context: WorkContext,
  messages: readonly ChangesMessage[],
  deadlineMs: number,
): Promise<ApplyOutcome> {
  const { loaded, limits, telemetry, clock } = context;
  const strike = messages.map((message) => message.id);
  const slices = sliceRows(loaded, messages, limits.rowsPerTransaction);
  if (slices.length === 0) slices.push({ rows: new Map() });
  const counts = noCounts();
  const startedMs = clock.nowMs();
  for (const [index, slice] of slices.entries()) {
    const outcome = await doWork(context, slice, index === slices.length - 1 ? strike : 'later', deadlineMs, counts);
    // The server's own words would repeat the key.
    if (outcome.kind === 'unreadable') {
      return {
        kind: 'unreadable',
        reason: `a key cannot be read as its column's type (SQLSTATE ${sqlState(outcome.error)})`,
      };
    }
    if (outcome.kind === 'out of time')
      return outcome.error ? { kind: 'again', error: outcome.error } : { kind: 'again' };
    if (outcome.kind === 'fenced') return outcome;
  }
  tell(telemetry, counts, messages.length, clock.nowMs() - startedMs);
  return { kind: 'done' };
}

function tell(telemetry: Telemetry, counts: WorkCounts, messages: number, durationMs: number): void {
  telemetry.measure('apply_messages', messages);
  telemetry.measure('apply_transactions', counts.transactions);
  telemetry.measure('apply_scopes', counts.scopes);
  telemetry.measure('apply_rows_written', counts.inserted + counts.updated + counts.deleted);
  telemetry.measure('apply_duration_ms', durationMs);
}
