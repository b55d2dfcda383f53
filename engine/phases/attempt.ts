import type pg from 'pg';
import type { Failpoints } from '../failpoint.ts';
import { nameOf, quoteRelation } from '../identifiers.ts';
import type { DirectionName, Relation } from '../migration/contract.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { textRows } from '../text-query.ts';
import { isApplied, raiseBarrier } from '../wait/barrier.ts';
import { type ArmableMigration, armedRelations } from './arm.ts';
import { changePhase } from './change.ts';
import type { Refusal } from './findings.ts';
import { isSame } from './guards.ts';
import { verifyTouched } from './touched.ts';

export interface SwitchContext {
  readonly pool: pg.Pool;
  /** In no transaction. */
  readonly client: pg.ClientBase;
  readonly migration: ArmableMigration;
  readonly change: 'cutover' | 'rollback';
  /** The active direction, which ends. */
  readonly ending: LoadedDirection;
  readonly starting: DirectionName;
  readonly maxPauseMs: number;
  readonly failpoints: Failpoints;
}

export interface Turned {
  readonly pauseMs: number;
  readonly scopesCompared: number;
}

/** The attempt was rolled back for a reason that has a name. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

/**
 * For all of the locks that are asked for first, together: below deadlock_timeout (1 s by default). A transaction of the
 * application that waits for one of them may hold what we wait for next; we give up before the server looks for a
 * victim, so that the application never learns of it. Nothing is waited for later on, when some wait for longer.
 */
const longestLockWaitMs = 700;
/** For the tables that only appliers write, which are fenced off by then. */
const shortLockWaitMs = 50;
const firstPollMs = 2;
const longestPollMs = 20;

/**
 * One attempt, in one transaction:
 *
 * 1. lock what the ending direction reads, and what its guards will watch, against writers, all of it within less than
 *    the time after which a deadlock is looked for;
 * 2. barrier and drain: what had been committed by then is applied, by the appliers, on other connections;
 * 3. fence and phase: no merge runs from here on; the announcement stands in the WAL;
 * 4. lock the rest: nobody writes to either side now;
 * 5. compare every scope that was touched since it was last compared;
 * 6. guards and witnesses change sides, flags are set, commit.
 *
 * @throws Refused; the server's error when a lock or the time that is allowed was not enough. Everything is rolled back.
 */
export async function attemptSwitch(context: SwitchContext): Promise<Turned> {
  const { client, failpoints, ending, starting, migration, change } = context;
  const pause = new Pause(context.maxPauseMs);
  const { first, shared, rest } = tablesOf(context);
  // Should this process be frozen, or its connection cut, the server lets the writers go on.
  await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED;
     SET LOCAL idle_in_transaction_session_timeout = ${context.maxPauseMs + 1_000};
     SET LOCAL synchronous_commit = on;
     SET LOCAL jit = off`,
  );
  try {
    pause.begin();
    await lock(context, pause, first, longestLockWaitMs);
    await failpoints('switch.locked');
    await drain(context, pause, shared);
    await failpoints('switch.drained');
    await bound(client, pause);
    await changePhase(client, change);
    await failpoints('switch.turned');
    await lock(context, pause, rest, shortLockWaitMs);
    const scopesCompared = await verify(context);
    await bound(client, pause);
    await client.query(turnSql, [starting]);
    await client.query(forgetLedgerSql, [starting]);
    await client.query(forgetRunsSql, [starting]);
    await client.query('DELETE FROM lockstep.touched');
    const flags = migration.flags?.[starting];
    if (flags !== undefined) await client.query(flags);
    // Constraints and triggers that wait for the end are part of the pause, and may still say no.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    await failpoints('switch.before-commit');
    pause.check(`the ${ending.name} direction was drained and compared, but not in time`);
    await client.query('COMMIT');
    const pauseMs = pause.elapsedMs();
    await failpoints('switch.committed');
    return { pauseMs, scopesCompared };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

const turnSql = 'SELECT lockstep.set_triggers($1, true)';
/** What the starting direction had in flight belongs to an earlier time. */
const forgetLedgerSql = 'DELETE FROM lockstep.in_flight WHERE direction = $1';
const forgetRunsSql = 'DELETE FROM lockstep.backfill WHERE direction = $1 AND finished_at IS NULL';

/** How long writers have been waiting. */
class Pause {
  readonly #maxMs: number;
  #startedMs = 0;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  begin(): void {
    this.#startedMs = performance.now();
  }

  elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  leftMs(): number {
    return this.#maxMs - this.elapsedMs();
  }

  /** @throws Refused when the time is up. */
  check(what: string): void {
    if (this.leftMs() > 0) return;
    throw new Refused({
      name: 'pause-exceeded',
      reason: `Writers would have waited longer than ${this.#maxMs} ms: ${what}.`,
      remedy: 'Allow more with --max-pause, or try again when less is being written (`lockstep status` shows the lag).',
    });
  }
}

/**
 * `first`: what the ending direction reads, and what is to be guarded; parents before children, as applications write
 * them. `shared`: those of it that the direction also writes, such as a table of which the other side only has columns.
 * `rest`: what else is armed.
 */
function tablesOf({ migration, ending }: SwitchContext): Record<'first' | 'shared' | 'rest', readonly Relation[]> {
  const side = ending.name === 'forward' ? 'legacy' : 'normalized';
  const wanted = [...ending.sources, ...migration.guards[side]].map(({ relation }) => relation);
  const isIn = (list: readonly Relation[]) => (relation: Relation) => list.some((other) => isSame(other, relation));
  const armed = armedRelations(migration);
  const first = armed.filter(isIn(wanted));
  return {
    first,
    shared: first.filter(isIn(ending.targets.map(({ relation }) => relation))),
    rest: armed.filter((relation) => !isIn(first)(relation)),
  };
}

/** Lets the server end what would take longer than is left, a wait for a lock after `lockWaitMs` at most. */
async function bound(client: pg.ClientBase, pause: Pause, lockWaitMs = longestLockWaitMs): Promise<void> {
  pause.check('the time was up between two steps');
  const leftMs = Math.max(1, Math.floor(pause.leftMs()));
  const lockMs = Math.max(1, Math.floor(Math.min(lockWaitMs, leftMs)));
  await client.query(`SET LOCAL lock_timeout = ${lockMs}; SET LOCAL statement_timeout = ${leftMs}`);
}

const lockSql = 'SELECT lockstep.lock_tables(ARRAY[$1::regclass::oid])';

/** Locks tables one by one, all of them within `withinMs`. */
async function lock(
  { client }: SwitchContext,
  pause: Pause,
  relations: readonly Relation[],
  withinMs: number,
): Promise<void> {
  const untilMs = performance.now() + withinMs;
  for (const relation of relations) {
    await bound(client, pause, untilMs - performance.now());
    await client.query(lockSql, [quoteRelation(relation)]);
  }
}

const anyInFlightSql = 'SELECT EXISTS (SELECT FROM lockstep.in_flight WHERE direction = $1) AS any';

/** How long what is captured may stay in flight while a table is locked that its merge may have to write. */
const stuckMs = 300;

/**
 * Waits until everything that has been committed is applied, and nothing of the direction is in flight. Merges that have
 * nothing to write into a shared table are not held up by our lock on it. One that has is: then the locks are let go, so
 * that it can be finished, and asked for again at a moment in which there is none.
 */
async function drain({ pool, ending }: SwitchContext, pause: Pause, shared: readonly Relation[]): Promise<void> {
  const lsn = await raiseBarrier(pool);
  let capturedAtMs: number | undefined;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(longestPollMs, pollMs * 2)) {
    const { captured, applied } = await isApplied(pool, ending.name, lsn);
    if (applied && !(await anyInFlight(pool, ending.name))) return;
    pause.check(captured ? 'messages were still in flight' : 'the listener had not read everything that was committed');
    if (captured) capturedAtMs ??= performance.now();
    if (shared.length > 0 && capturedAtMs !== undefined && performance.now() - capturedAtMs > stuckMs) {
      const names = shared.map(nameOf).join(', ');
      const reason = `A change on its way into ${names} could not be finished while that table was locked.`;
      const remedy = 'Try again when less is written to the tables that it is derived from.';
      throw new Refused({ name: 'locked', reason, remedy });
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function anyInFlight(pool: pg.Pool, direction: DirectionName): Promise<boolean> {
  return (await textRows<{ any: string }>(pool, anyInFlightSql, [direction]))[0]?.any === 't';
}

const quarantinedSql = 'SELECT count(*) AS scopes FROM lockstep.quarantine WHERE direction = $1';
const shownRows = 5;

/** @throws Refused when a scope that was touched does not agree. @returns how many were compared. */
async function verify({ client, ending }: SwitchContext): Promise<number> {
  const [quarantined] = await textRows<{ scopes: string }>(client, quarantinedSql, [ending.name]);
  if (quarantined?.scopes !== '0') {
    const reason = `${quarantined?.scopes} scopes went into quarantine a moment ago: their rows are not on the other side.`;
    throw new Refused({
      name: 'quarantine',
      reason,
      remedy: 'Mend their rows in the source, and run `lockstep retry`.',
    });
  }
  const { scopes, whole, differences } = await verifyTouched(client, ending);
  if (whole.length > 0) {
    const reason = `${whole.join(', ')} was truncated since the last validation.`;
    throw new Refused({ name: 'drift', reason, remedy: 'Run `lockstep validate --repair`, then `lockstep validate`.' });
  }
  if (differences.length > 0) {
    const named = differences.slice(0, shownRows).map(({ target, kind, key, columns }) => {
      const which = kind === 'different' ? ` in ${Object.keys(columns).join(', ')}` : '';
      return `${target} (${key.join(', ')}) ${kind}${which}`;
    });
    const more = differences.length > shownRows ? `, and ${differences.length - shownRows} more` : '';
    const reason = `Rows written since the last validation are not what they should be: ${named.join('; ')}${more}.`;
    throw new Refused({
      name: 'drift',
      reason,
      remedy: 'Find out who wrote them, then run `lockstep validate --repair`.',
    });
  }
  return scopes;
}
