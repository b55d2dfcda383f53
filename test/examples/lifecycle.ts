import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import type { EventName } from '../../cli/answers/versions.ts';
import { answersIn, checkAnswer } from '../cli/answers.ts';
import { checkout, type Event, lockstep, type Running, start } from '../cli/lockstep.ts';

/** What is written to an example on its way, and what must be found on the other side. */
export interface Journey {
  readonly folder: string;
  /** Mends what the targets refuse. */
  readonly mend: string;
  /** Written to legacy before the cutover, and again after the rollback. */
  readonly toLegacy: string;
  /** A query of the normalized tables, and what it answers then. */
  readonly forward: readonly [query: string, rows: readonly unknown[]];
  /** Written to the normalized tables after the cutover. */
  readonly toNormalized: string;
  /** A query of the legacy tables, and what it answers then. */
  readonly back: readonly [query: string, rows: readonly unknown[]];
  /** Written when legacy is gone, and the same of what `restore` gives back. */
  readonly toNormalizedAtTheEnd: string;
  readonly restored: readonly [query: string, rows: readonly unknown[]];
  /** Is refused once the normalized tables are the truth. */
  readonly refusedByGuard: string;
  readonly legacyTables: readonly string[];
}

/** A machine of `lockstep dev` without traffic, and the commands of a second terminal; every answer is checked. */
interface Terminal extends AsyncDisposable {
  readonly pool: pg.Pool;
  /** Runs a command to its end and returns its last answer. */
  json(args: readonly string[], exitCode?: number): Promise<Event>;
  /** Starts one that runs on. */
  begin(args: readonly string[]): Running;
  /** Of all answers so far. */
  seen(): ReadonlySet<EventName>;
}

export async function openTerminal(folder: string): Promise<Terminal> {
  await using started = new AsyncDisposableStack();
  const inFolder = ['--migration', join(checkout, folder)];
  const dev = started.use(start(['dev', ...inFolder, '--users', '50', '--traffic', '0']));
  const { databaseUrl } = await dev.event('ready', 120_000);
  const env = { LOCKSTEP_STATE_DIR: dev.state };
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  pool.on('error', () => {});
  const seen = new Set<EventName>();
  const running = [dev];
  started.defer(() => pool.end());
  const parts = started.move();
  return {
    pool,
    async json(args, exitCode = 0) {
      const { code, stdout, stderr } = await lockstep([...args, ...inFolder, '--json'], env);
      const given = [...answersIn(stdout), ...answersIn(stderr.replace(/^[^{].*$/gm, ''))];
      for (const answer of given) seen.add(checkAnswer(answer));
      expect([code, given.length > 0], `${args.join(' ')}: ${stderr}${stdout}`).toEqual([exitCode, true]);
      return given.at(-1) as Event;
    },
    begin(args) {
      const begun = parts.use(start([...args, ...inFolder], env));
      running.push(begun);
      return begun;
    },
    seen() {
      const told = running.flatMap(({ events }) => events).filter(({ event }) => event !== undefined);
      for (const answer of told) seen.add(checkAnswer(answer));
      return seen;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Everything is applied, and every row of every target is what it should be. */
async function inStep({ json }: Terminal, direction: 'forward' | 'reverse'): Promise<void> {
  expect(await json(['wait'])).toMatchObject({ event: 'wait', applied: true });
  expect(await json(['validate'])).toMatchObject({ event: 'validated', direction, agrees: true });
}

async function holds({ pool }: Terminal, [query, rows]: readonly [string, readonly unknown[]]): Promise<void> {
  expect((await pool.query(query)).rows).toEqual(rows);
}

async function turnForward(terminal: Terminal, journey: Journey): Promise<void> {
  const { json, pool } = terminal;
  expect(await json(['cutover', '--dry-run'])).toMatchObject({ outcome: 'possible' });
  expect(await json(['cutover', '--yes'])).toMatchObject({ outcome: 'switched', phase: 'reverse' });
  await expect(pool.query(journey.refusedByGuard)).rejects.toMatchObject({ code: 'LS001' });
  // `arm` has told which legacy rows the way back would change (an order gets its customer's one name): now it may.
  expect(await json(['rollback', 'sync', '--all', '--yes'])).toMatchObject({ outcome: 'synced' });
}

/**
 * The whole way of a migration, as an operator types it: backfill, changes, arm, cutover, writes that go back to legacy,
 * rollback, forward again, cutover, completion, and legacy given back.
 */
export async function travel(terminal: Terminal, journey: Journey): Promise<void> {
  const { json, pool, begin } = terminal;
  await json(['wait']);
  expect((await json(['retry'], 1)).remaining).toBeGreaterThan(0);
  expect(await json(['cutover', '--yes'], 1)).toMatchObject({ outcome: 'refused' });
  await pool.query(journey.mend);
  await pool.query(journey.toLegacy);
  await json(['wait']);
  expect(await json(['retry'])).toMatchObject({ remaining: 0 });
  await inStep(terminal, 'forward');
  await holds(terminal, journey.forward);

  expect(await json(['arm', '--yes'])).toMatchObject({ captured: true });
  await inStep(terminal, 'forward');
  await turnForward(terminal, journey);
  await pool.query(journey.toNormalized);
  await inStep(terminal, 'reverse');
  await holds(terminal, journey.back);

  expect(await json(['rollback', 'plan'])).toMatchObject({ losses: [] });
  expect(await json(['rollback', 'sync'])).toMatchObject({ outcome: 'synced' });
  expect(await json(['rollback', 'switch', '--yes'])).toMatchObject({ outcome: 'switched', phase: 'forward' });
  await pool.query(journey.toLegacy);
  await inStep(terminal, 'forward');
  await holds(terminal, journey.forward);

  await turnForward(terminal, journey);
  await inStep(terminal, 'reverse');
  expect(await json(['complete', '--yes'])).toMatchObject({ outcome: 'complete', leftovers: [] });
  for (const table of journey.legacyTables) {
    expect((await pool.query('SELECT to_regclass($1) AS there', [table])).rows).toEqual([{ there: null }]);
  }
  expect(await json(['status'])).toMatchObject({ phase: 'complete', slot: null });
  await pool.query(journey.toNormalizedAtTheEnd);

  expect(await json(['restore', '--yes'])).toMatchObject({ fromBackup: true, derived: 'finished' });
  const listener = begin(['listen']);
  await listener.event('capturing');
  await inStep(terminal, 'reverse');
  await holds(terminal, journey.restored);
  expect(await json(['rollback', 'switch', '--yes'])).toMatchObject({ outcome: 'switched', phase: 'forward' });
  await pool.query(journey.toLegacy);
  await inStep(terminal, 'forward');
}
