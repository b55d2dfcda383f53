import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Observe, Side } from '../events.ts';
import { readState } from '../flags/state.ts';
import { legacyRepositories } from '../legacy/repositories.ts';
import { normalizedRepositories } from '../normalized/repositories.ts';
import type { Repositories } from '../repositories.ts';
import { type Sql, sqlOnPool } from '../sql.ts';
import { type Direction, parsePosition, readApplied } from './positions.ts';
import { samePhase } from './route.ts';
import { createTally, type Tally } from './shadow-record.ts';

/** A read that has been answered. */
export interface Answered {
  readonly method: string;
  readonly arguments: readonly unknown[];
  readonly truth: Side;
  /** Of such reads: how many are compared. */
  readonly percentage: number;
  readonly answered: Side;
  readonly value: unknown;
  ask(repositories: Repositories): Promise<unknown>;
}

export interface Shadow extends AsyncDisposable {
  /** Takes note of an answer, for later, or does not; takes no time. */
  offer(answered: Answered): void;
  /** Resolves when everything taken so far has been compared and recorded. */
  idle(): Promise<void>;
}

export interface ShadowOptions {
  /** Nothing else of the application may depend on it: a comparison may keep its connection waiting. One is used at a time. */
  readonly pool: pg.Pool;
  readonly observe: Observe;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  /** How many may wait; more are dropped, and counted. */
  readonly most: number;
  /** How long the other side may take to catch up before a comparison is given up. */
  readonly settleMs: number;
}

const otherSide: Readonly<Record<Side, Side>> = { legacy: 'normalized', normalized: 'legacy' };
/** How often the truth may have moved. */
const rounds = 5;
/** Two rounds must find the same difference: a row that was changed and changed back in between is none. */
const confirmations = 2;

/** As the barrier of `lockstep wait`: its commit makes the listener confirm a position beyond it at once. */
export const barrierSql = "SELECT pg_logical_emit_message(true, 'lockstep.barrier', '')::text AS lsn";

/** What a comparison needs. */
interface Comparing extends ShadowOptions {
  readonly tally: Tally;
  readonly sql: Sql;
  readonly sides: Readonly<Record<Side, Repositories>>;
}

/** Compares, after the answer and one at a time, what both sides say. */
export function createShadow(options: ShadowOptions): Shadow {
  const { observe, random, most, pool, clock } = options;
  const waiting: Answered[] = [];
  const tally = createTally(pool, clock);
  const sql = sqlOnPool(pool);
  const sides = { legacy: legacyRepositories(sql), normalized: normalizedRepositories(sql) };
  let working: Promise<void> | undefined;

  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        await compare({ ...options, tally, sql, sides }, next);
      } catch (error) {
        tally.count(next.method, 'failed');
        observe({ event: 'shadow-failed', error });
      }
    }
    await tally.flush().catch((error: unknown) => observe({ event: 'shadow-failed', error }));
  };
  const idle = async () => {
    while (working !== undefined) await working;
  };
  return {
    offer(answered) {
      if (answered.percentage <= 0 || random() * 100 >= answered.percentage) return;
      if (waiting.length >= most) return tally.count(answered.method, 'dropped');
      waiting.push(answered);
      working ??= work().finally(() => {
        working = undefined;
      });
    },
    idle,
    async [Symbol.asyncDispose]() {
      for (const { method } of waiting.splice(0)) tally.count(method, 'dropped');
      await idle();
    },
  };
}

async function compare(comparing: Comparing, answered: Answered): Promise<void> {
  const { tally, sides, observe } = comparing;
  const { method } = answered;
  const other = await answered.ask(sides[otherSide[answered.answered]]);
  if (isDeepStrictEqual(answered.value, other)) return tally.count(method, 'agreed');
  const settled = await settle(comparing, answered);
  if (settled === 'agreed' || settled === 'unsettled') return tally.count(method, settled);
  tally.count(method, 'differed');
  await tally.difference(answered, settled.truth, settled.other);
  observe({ event: 'difference', method, arguments: answered.arguments });
}

/**
 * A difference under live traffic is to be expected. It is one only if the truth stays the same while the other side
 * catches up with all that was committed before, and they still differ.
 */
async function settle(
  { pool, sql, sides, clock, settleMs }: Comparing,
  { truth, ask }: Answered,
): Promise<'agreed' | 'unsettled' | { readonly truth: unknown; readonly other: unknown }> {
  const before = await readState(sql);
  const direction: Direction = truth === 'legacy' ? 'forward' : 'reverse';
  let confirmed = 0;
  for (let round = 0; round < rounds; round += 1) {
    const first = await ask(sides[truth]);
    const { rows } = await pool.query<{ lsn: string }>(barrierSql);
    if (!(await applied(pool, clock, direction, parsePosition(rows[0]?.lsn ?? '0/0'), settleMs))) return 'unsettled';
    const other = await ask(sides[otherSide[truth]]);
    const second = await ask(sides[truth]);
    if (!samePhase(before, await readState(sql))) return 'unsettled';
    if (isDeepStrictEqual(second, other)) return 'agreed';
    confirmed = isDeepStrictEqual(first, second) ? confirmed + 1 : 0;
    if (confirmed === confirmations) return { truth: second, other };
  }
  return 'unsettled';
}

async function applied(
  pool: pg.Pool,
  clock: Clock,
  direction: Direction,
  lsn: bigint,
  withinMs: number,
): Promise<boolean> {
  const deadlineMs = clock.nowMs() + withinMs;
  for (let pollMs = 5; ; pollMs = Math.min(100, pollMs * 2)) {
    const position = await readApplied(pool, direction);
    if (position !== undefined && position >= lsn) return true;
    if (position === undefined || clock.nowMs() >= deadlineMs) return false;
    await clock.pauseMs(pollMs);
  }
}
