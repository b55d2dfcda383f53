import type pg from 'pg';
import { LockstepError } from '../errors.ts';
import type { Direction, DirectionName, Migration } from '../migration/contract.ts';
import type { DevHooks } from '../migration/dev.ts';
import { type LoadedDirection, loadDirection } from '../migration/load.ts';
import { randomFrom } from '../random.ts';
import { checkDeclaration } from './declaration.ts';
import { analyze, attempt, deriveAll } from './derive.ts';
import { insertion } from './mutation.ts';
import { checkReads } from './reads.ts';
import { rehearse } from './rehearsal.ts';
import { checkRoundTrip, checkUnreadColumns } from './round-trip.ts';
import type { Finding } from './rules.ts';
import { ViewFailure, viewContents, viewFailure } from './snapshot.ts';
import { checkState } from './state.ts';
import { checkStatements } from './statements.ts';
import { readTables } from './values.ts';

export interface CheckOptions {
  /** Of a superuser, on a scratch database with the migration's schema: rows are put into its legacy tables. */
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** Makes legacy rows; without it some are made up. */
  readonly seed?: DevHooks['seed'];
  /** Random transactions per direction. Default 100. */
  readonly transactions?: number;
}

export interface CheckReport {
  readonly findings: readonly Finding[];
  /** By direction, the random transactions that changed what a view says: what the rehearsal rests on. */
  readonly rehearsed: Readonly<Partial<Record<DirectionName, number>>>;
}

/** As many legacy rows as dev hooks make for so many users. */
const seededUsers = 20;
const madeUpRows = 30;
const randomSeed = 1;

/**
 * Looks for mistakes of a migration before any data moves: in the declaration, in what views read, in the plans of the
 * engine's statements, and, when nothing is found so, by a rehearsal with random changes: forward, and when that is
 * right, back. What else would be found mostly follows from what is found first.
 */
export async function checkMigration(options: CheckOptions): Promise<CheckReport> {
  const { pool, migration, seed, transactions = 100 } = options;
  const findings: Finding[] = [];
  const forward = await loadChecked(pool, 'forward', migration.forward, findings);
  const reverse = migration.reverse && (await loadChecked(pool, 'reverse', migration.reverse, findings));
  const rehearsed: Partial<Record<DirectionName, number>> = {};
  if (!forward) return { findings, rehearsed };
  const client = await pool.connect();
  try {
    await fill(client, forward, seed);
    // The reverse direction starts from normalized rows, which the forward one has derived.
    const fromLegacy = async () => {};
    const derived = async () => void (await deriveAll(client, forward));
    findings.push(...(await checkStatements(client, forward, fromLegacy)));
    if (reverse) {
      const both = { migration, forward, reverse };
      findings.push(...(await checkStatements(client, reverse, derived)));
      await undone(client, async () => void findings.push(...(await checkUnreadColumns(client, both))));
    }
    if (findings.length > 0) return { findings, rehearsed };
    rehearsed.forward = await rehearseDirection(client, forward, fromLegacy, transactions, findings);
    if (reverse && findings.length === 0) {
      rehearsed.reverse = await rehearseDirection(client, reverse, derived, transactions, findings);
      const changes = { transactions: transactions / 3, seed: randomSeed };
      const both = { migration, forward, reverse };
      await undone(client, async () => void findings.push(...(await checkRoundTrip(client, both, changes))));
    }
  } finally {
    // A transaction that an error has left open ends with the connection.
    client.release(true);
  }
  return { findings, rehearsed };
}

/** What is declared of a direction, completed; undefined when it does not hold, which `findings` then says. */
async function loadChecked(
  pool: pg.Pool,
  name: DirectionName,
  direction: Direction,
  findings: Finding[],
): Promise<LoadedDirection | undefined> {
  const found = [...(await checkDeclaration(pool, name, direction)), ...(await checkReads(pool, name, direction))];
  findings.push(...found);
  try {
    return await loadDirection(pool, name, direction);
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'LS_MIGRATION_INVALID') throw error;
    if (found.length === 0) {
      const subject = `the ${name} direction`;
      findings.push({ rule: 'declaration-invalid', direction: name, subject, found: error.message });
    }
    return undefined;
  }
}

/** Returns how many random transactions told something. */
async function rehearseDirection(
  client: pg.ClientBase,
  direction: LoadedDirection,
  prepare: () => Promise<void>,
  transactions: number,
  findings: Finding[],
): Promise<number> {
  const ready = async () => {
    await prepare();
    await analyze(client, direction);
  };
  const failure = await undone(client, async () => {
    await ready();
    return await viewContents(client, direction).catch(viewFailure);
  });
  if (failure instanceof ViewFailure) {
    const subject = `target ${failure.target.name}`;
    findings.push({ rule: 'view-fails', direction: direction.name, subject, found: `${failure.message}.` });
    return 0;
  }
  await undone(client, async () => {
    await ready();
    findings.push(...(await checkState(client, direction)));
  });
  return await undone(client, async () => {
    await ready();
    const { findings: found, telling } = await rehearse(client, direction, { transactions, seed: randomSeed });
    findings.push(...found);
    return telling;
  });
}

/** Runs `work` in a transaction, with foreign keys and triggers off, and rolls it back. */
async function undone<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN; SET LOCAL session_replication_role = replica');
  const result = await work();
  await client.query('ROLLBACK');
  return result;
}

/** Rows in the legacy tables: the migration's own, or made up ones where it has none. */
async function fill(client: pg.ClientBase, forward: LoadedDirection, seed: DevHooks['seed']): Promise<void> {
  if (seed) {
    await seed(client, { users: seededUsers });
    return;
  }
  const random = randomFrom(randomSeed);
  await client.query('BEGIN; SET LOCAL session_replication_role = replica');
  for (const { source } of await readTables(client, forward)) {
    for (let left = madeUpRows; left > 0; left--) {
      // Read anew, so that a row can refer to those that are there.
      const table = (await readTables(client, forward)).find((candidate) => candidate.source === source);
      if (!table) continue;
      const { sql, values } = insertion(table, random);
      await attempt(client, async () => void (await client.query(sql, [...values])));
    }
  }
  await client.query('COMMIT');
}
