import type pg from 'pg';
import { connectionLost } from '../connection.ts';
import type { Failpoints } from '../failpoint.ts';
import { switchLock } from '../locks.ts';
import type { DirectionName, Migration } from '../migration/contract.ts';
import { loadDirection } from '../migration/load.ts';
import { sqlState } from '../sqlstate.ts';
import { readPhase } from '../status/phase.ts';
import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';
import { passBarrier } from '../wait/barrier.ts';
import { armable } from './arm.ts';
import { attemptSwitch, Refused, type SwitchContext } from './attempt.ts';
import { readFacts } from './facts.ts';
import { defaultSwitchLimits, type Refusal, refusals, type SwitchLimits } from './findings.ts';
import { settleChanges } from './position.ts';
import { prepare } from './prepare.ts';
import { phaseAfter, refusalOf } from './transitions.ts';
import { takeTurn, turnIsFree, wasCommitted } from './turn.ts';

export type SwitchChange = 'cutover' | 'rollback';

export interface SwitchOptions {
  /** At least 3 connections: one holds the locks while others watch the drain. */
  readonly pool: pg.Pool;
  readonly migration: Migration;
  readonly change: SwitchChange;
  /** How long writers may be made to wait, in milliseconds. */
  readonly maxPauseMs: number;
  /** Messages in the dead-letter queue. */
  readonly deadLetters: number;
  readonly telemetry: Telemetry;
  readonly limits?: Partial<SwitchLimits>;
  /** Only say what is against it. */
  readonly dryRun?: boolean;
  /** Epoch: what has to be compared beforehand is left to a later call from then on. Default: a minute from now. */
  readonly deadlineMs?: number;
  readonly failpoints?: Failpoints;
}

export type SwitchOutcome =
  | {
      readonly outcome: 'switched';
      readonly phase: DirectionName;
      /** The longest that a writer can have waited at a stretch: from the first lock asked for to the commit, or to the end of an attempt. */
      readonly pauseMs: number;
      /** Scopes that were compared while writers waited. */
      readonly scopesCompared: number;
      /** How often the locks were asked for. */
      readonly attempts: number;
    }
  /** An earlier call has done it. */
  | {
      readonly outcome: 'already';
      readonly phase: DirectionName;
      readonly changedAt: string;
      readonly pauseMs: number | null;
    }
  /** Nothing was locked. */
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[] }
  /** It was begun and rolled back: nothing has changed. */
  | {
      readonly outcome: 'aborted';
      readonly refusals: readonly Refusal[];
      /** The longest that a writer can have waited at a stretch. */
      readonly pauseMs: number;
      readonly attempts: number;
    }
  /** Only with `dryRun`: nothing is against it. */
  | { readonly outcome: 'possible' }
  /** The deadline came before everything was compared that has to be; call again, to go on. */
  | { readonly outcome: 'continue'; readonly scopesLeft: number };

/** Writers queue up behind a lock that is waited for, so it is given up, and asked for again later. */
const mostAttempts = 12;
const pauseBetweenAttemptsMs = 150;
const drainBetweenAttemptsMs = 2_000;
const prepareMs = 60_000;

/**
 * Turns the direction round in one transaction: a cutover, or the way back (`rollback`). Either all of it happens at one
 * commit, or nothing has.
 *
 * @throws LockstepError LS_NO_WAY_BACK, LS_COMPLETE, LS_NOT_MIGRATED, LS_MIGRATION_INVALID, LS_DATABASE_LOST; the server's errors for which
 * there is no refusal. Then, too, nothing has changed, unless the connection was lost at the commit: the phase says.
 */
export async function switchDirection(options: SwitchOptions): Promise<SwitchOutcome> {
  const migration = armable(options.migration);
  const { pool, change, telemetry } = options;
  const phase = await readPhase(pool);
  const to = phaseAfter(phase, change);
  if (to === undefined) {
    const done = await doneBefore(pool, change);
    if (done) return done;
    const remedy = '`lockstep status` shows the phase.';
    return { outcome: 'refused', refusals: [{ name: 'wrong-phase', reason: refusalOf(phase, change), remedy }] };
  }
  const starting = to as DirectionName;
  const name: DirectionName = starting === 'reverse' ? 'forward' : 'reverse';
  const ending = await loadDirection(pool, name, migration[name]);
  const limits = { ...defaultSwitchLimits, ...options.limits };
  const look = async () =>
    refusals(await readFacts({ pool, migration, ending, starting, deadLetters: options.deadLetters, limits }), limits);
  if (options.dryRun) {
    const found = [...(await underWay(pool)), ...(await look())];
    return found.length > 0 ? { outcome: 'refused', refusals: found } : { outcome: 'possible' };
  }
  const client = await pool.connect();
  let broken = false;
  const onError = () => {
    broken = true;
  };
  client.on('error', onError);
  try {
    if (!(await takeTurn(client))) return { outcome: 'refused', refusals: [alreadyUnderWay] };
    const found = await look();
    if (found.length > 0) return { outcome: 'refused', refusals: found };
    const context: SwitchContext = {
      pool,
      client,
      migration,
      change,
      ending,
      starting,
      maxPauseMs: options.maxPauseMs,
      failpoints: options.failpoints ?? (() => {}),
    };
    const left = await prepare(context, options.deadlineMs ?? Date.now() + prepareMs);
    if (left !== undefined) return left;
    await context.failpoints('switch.prepared');
    const outcome = await attemptUntilLocked(context, telemetry);
    if (outcome.outcome === 'switched') await note(context, outcome.pauseMs);
    return outcome;
  } catch (error) {
    broken ||= connectionLost(client);
    if (!broken) await client.query('ROLLBACK').catch(onError);
    throw error;
  } finally {
    client.off('error', onError);
    // The session holds the turn; it goes with the connection.
    if (!broken) await client.query('SELECT pg_advisory_unlock($1)', [switchLock()]).catch(onError);
    client.release(broken);
  }
}

const alreadyUnderWay: Refusal = {
  name: 'already-under-way',
  reason: 'Another cutover, rollback or completion of this database is under way.',
  remedy: 'Wait until it has ended; `lockstep status` shows the phase that it led to.',
};

async function underWay(pool: pg.Pool): Promise<Refusal[]> {
  return (await turnIsFree(pool)) ? [] : [alreadyUnderWay];
}

const lastChangeSql = `
  SELECT change, p.phase, to_json(c.changed_at AT TIME ZONE 'UTC') #>> '{}' AS at, pause_ms AS pause
  FROM lockstep.phase p, lockstep.phase_change c ORDER BY c.number DESC LIMIT 1`;

/** Whether the last change of the phase was this one: asked for again, it is done. */
async function doneBefore(pool: pg.Pool, change: SwitchChange): Promise<SwitchOutcome | undefined> {
  const [last] = await textRows<{ change: string; phase: DirectionName; at: string; pause: string | null }>(
    pool,
    lastChangeSql,
  );
  if (last?.change !== change) return undefined;
  const pauseMs = last.pause === null ? null : Number(last.pause);
  return { outcome: 'already', phase: last.phase, changedAt: `${last.at}Z`, pauseMs };
}

async function attemptUntilLocked(context: SwitchContext, telemetry: Telemetry): Promise<SwitchOutcome> {
  let pauseMs = 0;
  for (let attempts = 1; ; attempts += 1) {
    const startedMs = performance.now();
    try {
      const turned = await attemptSwitch(context);
      pauseMs = Math.max(pauseMs, turned.pauseMs);
      return { outcome: 'switched', phase: context.starting, attempts, ...turned, pauseMs };
    } catch (error) {
      pauseMs = Math.max(pauseMs, performance.now() - startedMs);
      const turned = await wasCommitted(context, error);
      if (turned) return { outcome: 'switched', phase: context.starting, attempts, ...turned, pauseMs };
      const refusal = await refusalFor(context, error);
      if (!refusal) throw error;
      telemetry.log('info', 'the direction was not changed', { name: refusal.name, attempts, pauseMs });
      if (refusal.name !== 'locked' || attempts === mostAttempts) {
        return { outcome: 'aborted', refusals: [refusal], pauseMs, attempts };
      }
      await new Promise((resolve) => setTimeout(resolve, pauseBetweenAttemptsMs * (0.5 + Math.random())));
      await passBarrier({ db: context.pool, direction: context.ending.name, timeoutMs: drainBetweenAttemptsMs });
    }
  }
}

/** What an error of the attempt means, if it means no. */
async function refusalFor({ pool, maxPauseMs }: SwitchContext, error: unknown): Promise<Refusal | undefined> {
  if (error instanceof Refused) return error.refusal;
  switch (sqlState(error)) {
    case '55P03':
    case '40P01': {
      const holders = await describeHolders(pool);
      const reason = `A table could not be locked in time, because others are writing to it. ${holders}`;
      return {
        name: 'locked',
        reason,
        remedy: 'End the transactions that are named, or try again in a quieter moment.',
      };
    }
    // A statement, or the transaction, was ended because the time was up.
    case '57014':
    case '25P03':
    case '25P04':
      return {
        name: 'pause-exceeded',
        reason: `Writers would have waited longer than ${maxPauseMs} ms.`,
        remedy: 'Allow more with --max-pause, or try again when less is being written.',
      };
    default:
      return undefined;
  }
}

async function describeHolders(pool: pg.Pool): Promise<string> {
  const rows = await textRows<{ holder: string }>(
    pool,
    `SELECT format('process %s (%s, open for %s s)', pid, coalesce(nullif(application_name, ''), 'no application name'),
                   round(extract(epoch FROM clock_timestamp() - xact_start))) AS holder
     FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
       AND backend_type IN ('client backend', 'autovacuum worker') ORDER BY xact_start LIMIT 3`,
  );
  return rows.length === 0
    ? 'No open transaction is visible any more.'
    : `The oldest open transactions: ${rows.map(({ holder }) => holder).join(', ')}.`;
}

const noteSql = `
  UPDATE lockstep.phase_change SET pause_ms = $1 WHERE number = (SELECT max(number) FROM lockstep.phase_change)`;

/** For the record; the change itself is done. */
async function note({ pool }: SwitchContext, pauseMs: number): Promise<void> {
  await settleChanges(pool).catch(() => undefined);
  await pool.query(noteSql, [pauseMs]).catch(() => undefined);
}
