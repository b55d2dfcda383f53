import type pg from 'pg';
import { quote, quoteRelation } from '../identifiers.ts';
import { mergeScopes } from '../merge/merge.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { type Random, randomFrom } from '../random.ts';
import { sqlState } from '../sqlstate.ts';
import { analyze, attempt, derive, deriveAll, differsInScope, isRefusal } from './derive.ts';
import { type Mutation, mutationOf } from './mutation.ts';
import { readsWhatIsWritten } from './reads.ts';
import type { Finding, RuleName } from './rules.ts';
import {
  type Events,
  eventsBetween,
  type OldRows,
  oldRowsOf,
  resolved,
  type SourceRows,
  scopeOfName,
  sourceRows,
  ViewFailure,
  viewContents,
  viewFailure,
} from './snapshot.ts';
import { readTables, type SourceTable } from './values.ts';

export interface RehearsalOptions {
  /** How many random transactions. */
  readonly transactions: number;
  readonly seed: number;
}

interface Rehearsal {
  readonly client: pg.ClientBase;
  readonly loaded: LoadedDirection;
  readonly tables: readonly SourceTable[];
  readonly random: Random;
  readonly oldRows: OldRows;
  /** Scopes that the target refuses at the moment. */
  readonly refused: Set<string>;
  /** Whether a view reads what the engine writes. */
  readonly feedsBack: boolean;
  /** As the last transaction has left them. */
  views: Map<string, string>;
  rows: SourceRows[];
  readonly report: (rule: RuleName, target: LoadedTarget, found: string) => void;
}

/**
 * Changes the source tables at random, transaction by transaction, and looks each time whether every scope of which the
 * view says something else would have been found from the events. `client` is a superuser's, in a transaction that is
 * rolled back afterwards; the source tables hold rows.
 *
 * @returns findings, and how many transactions changed what a view says.
 */
export async function rehearse(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  { transactions, seed }: RehearsalOptions,
): Promise<{ findings: Finding[]; telling: number }> {
  const findings = new Map<string, Finding>();
  const report = (rule: RuleName, target: LoadedTarget, found: string) => {
    const subject = `target ${target.name}`;
    // The first example of each is enough.
    const identity = `${rule} ${subject}`;
    if (!findings.has(identity)) findings.set(identity, { rule, direction: loaded.name, subject, found });
  };
  const tables = await readTables(client, loaded);
  await client.query('SET LOCAL session_replication_role = replica');
  const refused = await deriveAll(client, loaded);
  await analyze(client, loaded);
  const oldRows = await oldRowsOf(client, loaded);
  const [views, rows] = [await viewContents(client, loaded), await sourceRows(client, oldRows)];
  const random = randomFrom(seed);
  const feedsBack = await readsWhatIsWritten(client, loaded);
  const rehearsal = { client, loaded, tables, random, oldRows, refused, feedsBack, views, rows, report };
  let telling = 0;
  for (let left = transactions; left > 0; left--) {
    if (await once(rehearsal)) telling += 1;
  }
  return { findings: [...findings.values()], telling };
}

/** One transaction of one or two changes. Returns whether a view says something else afterwards. */
async function once(rehearsal: Rehearsal): Promise<boolean> {
  const { client, loaded, tables, random, oldRows, refused, report, views: before, rows: rowsBefore } = rehearsal;
  const touched: SourceTable[] = [];
  const mutations: Mutation[] = [];
  do {
    const table = random.pick(tables);
    touched.push(table);
    mutations.push(mutationOf(table, random));
  } while (touched.length < 2 && random.chance(0.25));
  const what = mutations.map((mutation) => mutation.what).join(', then ');
  await client.query('SAVEPOINT before_change');
  const foreignKeys = random.chance(0.5) || touched.some(({ deferrable }) => deferrable);
  if (!(await mutate(client, mutations, foreignKeys))) return false;
  const after = await viewContents(client, loaded).catch(viewFailure);
  if (after instanceof ViewFailure) {
    report('view-fails', after.target, `When ${what}: ${after.message}.`);
    await client.query('ROLLBACK TO SAVEPOINT before_change');
    return false;
  }
  await client.query('RELEASE SAVEPOINT before_change');
  rehearsal.views = after;
  rehearsal.rows = await sourceRows(client, oldRows);
  const events = eventsBetween(rowsBefore, rehearsal.rows);
  const stale = [...new Set([...before.keys(), ...after.keys()])].filter(
    (scope) => before.get(scope) !== after.get(scope),
  );
  if (stale.length === 0) return false;
  const expected: string[] = [];
  for (const scope of stale) {
    // The target of a refused scope is not what the view said, so nothing can be asked of it. And where foreign keys cascade,
    // a change can have brought the target along by itself.
    if (!refused.has(scope) && (await differsFromView(rehearsal, scope))) expected.push(scope);
  }
  const found = await resolved(client, loaded, events);
  const missed = expected.filter((scope) => !found.has(scope));
  for (const scope of missed) report('scope-missed', targetOf(loaded, scope), example(what, events, scope));
  const [only] = mutations;
  if (mutations.length === 1 && only?.single) {
    const carried = await resolvedWithoutRow(client, loaded, events);
    const lost = expected.filter((scope) => found.has(scope) && !carried.has(scope));
    for (const scope of lost) {
      report(
        'scope-not-carried',
        targetOf(loaded, scope),
        `${example(what, events, scope)} By then the row is gone again.`,
      );
    }
  }
  await follow({ client, loaded, refused, report }, stale, what);
  if (rehearsal.feedsBack) await settle(rehearsal, what);
  return true;
}

const differsFromView = ({ client, loaded }: Pick<Rehearsal, 'client' | 'loaded'>, scope: string) =>
  differsInScope(client, targetOf(loaded, scope), scopeOfName(scope));

/** A view that reads tables which the engine writes may say something else once they are written: then nobody derives it again. */
async function settle(rehearsal: Rehearsal, what: string): Promise<void> {
  const { client, loaded, refused, report, views: before } = rehearsal;
  rehearsal.views = await viewContents(client, loaded);
  for (const scope of new Set([...before.keys(), ...rehearsal.views.keys()])) {
    if (before.get(scope) === rehearsal.views.get(scope) || refused.has(scope)) continue;
    if (!(await differsFromView(rehearsal, scope))) continue;
    const name = scopeOfName(scope).join(', ');
    const found = `When ${what}, and the targets were written, the view says something else of the scope (${name}) than before, for which there is no event.`;
    report('scope-missed', targetOf(loaded, scope), found);
    await derive(client, targetOf(loaded, scope), [scopeOfName(scope)], refused);
  }
}

/** Runs the changes, with foreign keys as they are or off (orphans exist in old data); false when one is refused. */
async function mutate(client: pg.ClientBase, mutations: readonly Mutation[], foreignKeys: boolean): Promise<boolean> {
  const refusal = await attempt(client, async () => {
    if (foreignKeys) await client.query('SET LOCAL session_replication_role = origin; SET CONSTRAINTS ALL IMMEDIATE');
    for (const { sql, values } of mutations) await client.query(sql, [...values]);
  });
  await client.query('SET LOCAL session_replication_role = replica');
  return refusal === undefined;
}

/** What the same events lead to when their rows are gone by the time they are handled. */
async function resolvedWithoutRow(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  events: Events,
): Promise<Set<string>> {
  await client.query('SAVEPOINT without_row');
  for (const [source, rows] of events) {
    const key = source.key.map((column) => `${quote(column)}::text`).join(', ');
    const text = `DELETE FROM ${quoteRelation(source.relation)} WHERE ARRAY[${key}] = $1`;
    for (const row of rows) await client.query(text, [row.slice(0, source.key.length)]);
  }
  const found = await resolved(client, loaded, events);
  await client.query('ROLLBACK TO SAVEPOINT without_row');
  return found;
}

/** Brings the targets up to date, by a merge where the order of writes can matter. */
async function follow(
  { client, loaded, refused, report }: Pick<Rehearsal, 'client' | 'loaded' | 'refused' | 'report'>,
  stale: readonly string[],
  what: string,
): Promise<void> {
  for (const target of loaded.targets) {
    const names = stale.filter((scope) => targetOf(loaded, scope) === target);
    if (names.length === 0) continue;
    const scopes = names.map(scopeOfName);
    const conflict = await conflictOf(client, loaded, target, scopes);
    await derive(client, target, scopes, refused);
    if (conflict !== undefined && names.every((scope) => !refused.has(scope))) {
      report(
        'conflict-not-deferrable',
        target,
        `${conflict}: ${what}; the result breaks nothing, but writing it does.`,
      );
    }
  }
}

/** What a merge of these scopes stumbles over although it need not; undefined: nothing. It is undone. */
async function conflictOf(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
  scopes: readonly (readonly string[])[],
): Promise<string | undefined> {
  await client.query('SAVEPOINT merge; SET CONSTRAINTS ALL DEFERRED');
  try {
    await mergeScopes(
      client,
      loaded,
      scopes.map((scope) => ({ target, scope })),
    );
    return undefined;
  } catch (error) {
    isRefusal(error);
    const state = sqlState(error);
    return state === '23505' || state === '23P01' ? `"${(error as pg.DatabaseError).constraint}"` : undefined;
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT merge');
  }
}

function targetOf(loaded: LoadedDirection, scope: string): LoadedTarget {
  const [name] = JSON.parse(scope) as string[];
  const target = loaded.targets.find((candidate) => candidate.name === name);
  if (!target) throw new RangeError(`no target "${name}"`);
  return target;
}

function example(what: string, events: Events, scope: string): string {
  const named = [...events].map(
    ([source, rows]) =>
      `${source.name} ${rows
        .slice(0, 3)
        .map((row) => `(${row.map((part) => part ?? 'NULL').join(', ')})`)
        .join(' ')}`,
  );
  return `When ${what} (events: ${named.join('; ')}), the scope (${scopeOfName(scope).join(', ')}) must be derived again.`;
}
