import type pg from 'pg';
import type { Failpoints } from '../failpoint.ts';
import { quoteRelation } from '../identifiers.ts';
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
 * Below deadlock_timeout (1 s by default): when we and the application wait for each other, we give up first, and the
 * application never learns of it.
 */
const longestLockWaitMs = 800;
const firstPollMs = 2;
const longestPollMs = 20;

/**
 * One attempt, in one transaction:
 *
 * 1. lock what the ending direction reads, and what its guards will watch, against writers;
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
  const { first, shared, all } = tablesOf(context);
  // Should this process be frozen, or its connection cut, the server lets the writers go on.
  await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED;
     SET LOCAL idle_in_transaction_session_timeout = ${context.maxPauseMs + 1_000};
     SET LOCAL synchronous_commit = on;
     SET LOCAL jit = off`,
  );
  try {
    pause.begin();
    await lock(context, pause, first);
    await failpoints('switch.locked');
    await drain(context, pause);
    if (shared.length > 0) await lockShared(context, pause, shared);
    await failpoints('switch.drained');
    await bound(client, pause);
    await changePhase(client, change);
    await failpoints('switch.turned');
    await lock(context, pause, all);
    const scopesCompared = await verify(context);
    await bound(client, pause);
    await client.query(turnSql, [starting]);
    await client.query(forgetLedgerSql, [starting]);
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
 * `shared`: what the ending direction both reads and writes, such as a table of which the other side only has columns.
 * Locked, it could not be drained, so it is locked last. `all`: what either direction touches.
 */
function tablesOf({ migration, ending }: SwitchContext): Record<'first' | 'shared' | 'all', readonly Relation[]> {
  const side = ending.name === 'forward' ? 'legacy' : 'normalized';
  const wanted = [...ending.sources, ...migration.guards[side]].map(({ relation }) => relation);
  const own = ending.targets.map(({ relation }) => relation);
  const isOwn = (relation: Relation) => own.some((other) => isSame(other, relation));
  return {
    first: wanted.filter((relation) => !isOwn(relation)),
    shared: wanted.filter(isOwn),
    all: armedRelations(migration),
  };
}

/** Lets the server end what would take longer than is left. */
async function bound(client: pg.ClientBase, pause: Pause): Promise<void> {
  pause.check('the time was up between two steps');
  const leftMs = Math.max(1, Math.floor(pause.leftMs()));
  await client.query(
    `SET LOCAL lock_timeout = ${Math.min(longestLockWaitMs, leftMs)}; SET LOCAL statement_timeout = ${leftMs}`,
  );
}

const lockSql = `
  SELECT lockstep.lock_tables(ARRAY(SELECT n::regclass::oid FROM unnest($1::text[]) WITH ORDINALITY AS t (n, o) ORDER BY o))`;

async function lock({ client }: SwitchContext, pause: Pause, relations: readonly Relation[]): Promise<void> {
  await bound(client, pause);
  await client.query(lockSql, [relations.map(quoteRelation)]);
}

const anyInFlightSql = 'SELECT EXISTS (SELECT FROM lockstep.in_flight WHERE direction = $1) AS any';

/** Waits until everything that has been committed is applied, and nothing of the direction is in flight. */
async function drain({ pool, ending }: SwitchContext, pause: Pause): Promise<void> {
  const lsn = await raiseBarrier(pool);
  for (let pollMs = firstPollMs; ; pollMs = Math.min(longestPollMs, pollMs * 2)) {
    const { captured, applied } = await isApplied(pool, ending.name, lsn);
    if (applied && !(await anyInFlight(pool, ending.name))) return;
    pause.check(captured ? 'messages were still in flight' : 'the listener had not read everything that was committed');
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function anyInFlight(pool: pg.Pool, direction: DirectionName): Promise<boolean> {
  return (await textRows<{ any: string }>(pool, anyInFlightSql, [direction]))[0]?.any === 't';
}

/** How long what has slipped in may take to be finished, before the lock is let go. */
const slipMs = 250;

/**
 * Locks the shared tables and waits until nothing is in flight any more. Merges that have nothing to write into a shared
 * table are not held up by the lock; if one is, because a change that matters has slipped in between the drain and the
 * lock, the lock is let go, everything drained again, and the lock tried once more.
 */
async function lockShared(context: SwitchContext, pause: Pause, shared: readonly Relation[]): Promise<void> {
  const { client } = context;
  for (;;) {
    await client.query('SAVEPOINT shared');
    await lock(context, pause, shared);
    if (await isDrained(context, pause)) return;
    await client.query('ROLLBACK TO SAVEPOINT shared');
    await drain(context, pause);
  }
}

/** Whether everything that has been committed is applied soon. */
async function isDrained({ pool, ending }: SwitchContext, pause: Pause): Promise<boolean> {
  const lsn = await raiseBarrier(pool);
  const untilMs = performance.now() + slipMs;
  for (;;) {
    const { captured, applied } = await isApplied(pool, ending.name, lsn);
    if (applied && !(await anyInFlight(pool, ending.name))) return true;
    pause.check(captured ? 'messages were still in flight' : 'the listener had not read everything that was committed');
    if (captured && performance.now() > untilMs) return false;
    await new Promise((resolve) => setTimeout(resolve, firstPollMs));
  }
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
