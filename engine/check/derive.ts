import type pg from 'pg';
import { quote, quoteRelation } from '../identifiers.ts';
import { equalColumns, extentOfScopes } from '../merge/predicate.ts';
import { anyDifferenceSql, differs } from '../merge/statements.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { sqlState } from '../sqlstate.ts';
import { textRows } from '../text-query.ts';
import { scopeName, scopeOfName } from './snapshot.ts';

type Scope = readonly string[];

/** A row whose parent is not there; with foreign keys off the server does not say so. */
class MissingParent extends Error {}

/** Whether it is the data that a statement stumbled over. Anything else is thrown. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof MissingParent) return true;
  const state = sqlState(error);
  if (state?.startsWith('22') || state?.startsWith('23')) return true;
  throw error;
}

/** Runs `work`; what it did is undone when the server refuses its data. */
export async function attempt(client: pg.ClientBase, work: () => Promise<void>): Promise<unknown> {
  await client.query('SAVEPOINT attempt');
  try {
    await work();
    await client.query('RELEASE SAVEPOINT attempt');
    return undefined;
  } catch (error) {
    isRefusal(error);
    await client.query('ROLLBACK TO SAVEPOINT attempt');
    return error;
  }
}

async function write(client: pg.ClientBase, target: LoadedTarget, scopes: readonly Scope[]): Promise<void> {
  const { where, parameters } = extentOfScopes(target, scopes);
  const values = [...parameters];
  const [table, view] = [quoteRelation(target.relation), quoteRelation(target.view)];
  const names = target.columns.map(({ name }) => quote(name)).join(', ');
  if (target.writes === 'rows') {
    for (const parent of target.parents) {
      const present = `EXISTS (SELECT FROM ${quoteRelation(parent.relation)} p WHERE ${equalColumns('p', 'v', parent.parentColumns, parent.columns)})`;
      const set = parent.columns.map((column) => `v.${quote(column)} IS NOT NULL`).join(' AND ');
      const orphans = await client.query(
        `SELECT FROM ${view} v WHERE ${where('v')} AND ${set} AND NOT ${present} LIMIT 1`,
        values,
      );
      if (orphans.rowCount !== 0) throw new MissingParent(parent.name);
    }
    // Derived before anything is deleted, as a merge does: a view may keep what its own table holds.
    await client.query(
      `CREATE TEMPORARY TABLE lockstep_derived ON COMMIT DROP AS SELECT ${names} FROM ${view} v WHERE ${where('v')}`,
      values,
    );
    await client.query(`DELETE FROM ${table} t WHERE ${where('t')}`, values);
    await client.query(
      `INSERT INTO ${table} (${names}) OVERRIDING SYSTEM VALUE SELECT ${names} FROM pg_temp.lockstep_derived`,
    );
    await client.query('DROP TABLE pg_temp.lockstep_derived');
    return;
  }
  const changed = target.columns
    .filter(({ name }) => !target.key.includes(name))
    .map(({ name }) => `${quote(name)} = v.${quote(name)}`);
  if (changed.length === 0) return;
  await client.query(
    `UPDATE ${table} t SET ${changed.join(', ')} FROM ${view} v WHERE ${equalColumns('t', 'v', target.key)} AND ${where('v')}`,
    values,
  );
}

/**
 * Makes these scopes of a target what the view says, as a merge would that nothing else disturbs: rows that are refused
 * leave their scope as it was.
 *
 * @param refused names of the scopes that are refused; kept up to date.
 */
export async function derive(
  client: pg.ClientBase,
  target: LoadedTarget,
  scopes: readonly Scope[],
  refused: Set<string>,
): Promise<void> {
  if (scopes.length === 0) return;
  for (const scope of scopes) refused.delete(scopeName(target, scope));
  if ((await attempt(client, () => write(client, target, scopes))) === undefined) return;
  const [only] = scopes;
  if (scopes.length === 1 && only) {
    refused.add(scopeName(target, only));
    return;
  }
  const half = Math.ceil(scopes.length / 2);
  await derive(client, target, scopes.slice(0, half), refused);
  await derive(client, target, scopes.slice(half), refused);
}

/** Every scope that the view or the table of a target has. */
export async function everyScope(client: pg.ClientBase, target: LoadedTarget): Promise<string[][]> {
  const scope = target.scope.map(quote);
  const list = (relation: string) => `SELECT ${scope.join(', ')} FROM ${relation}`;
  const rows = await textRows<{ scope: string }>(
    client,
    `SELECT to_json(ARRAY[${scope.map((column) => `s.${column}::text`).join(', ')}]) AS scope
     FROM (${list(quoteRelation(target.view))} UNION ${list(quoteRelation(target.relation))}) s
     WHERE ${scope.map((column) => `s.${column} IS NOT NULL`).join(' AND ')}`,
  );
  return rows.map((row) => JSON.parse(row.scope) as string[]);
}

/**
 * Statistics of a direction's tables, as they are in this transaction: views that are read as a whole are joined row by row
 * without them.
 */
export async function analyze(client: pg.ClientBase, { sources, targets }: LoadedDirection): Promise<void> {
  const tables = [...sources, ...targets].map(({ relation }) => quoteRelation(relation));
  await client.query(`ANALYZE ${[...new Set(tables)].join(', ')}`);
}

/** Whether the table holds something else than the view says of one scope. */
export async function differsInScope(client: pg.ClientBase, target: LoadedTarget, scope: Scope): Promise<boolean> {
  const extent = extentOfScopes(target, [scope]);
  const { where, parameters } = extent;
  const [table, view] = [quoteRelation(target.relation), quoteRelation(target.view)];
  const sameKey = equalColumns('t', 'v', target.key);
  const sql =
    target.writes === 'columns'
      ? anyDifferenceSql(target, extent)
      : `SELECT EXISTS (SELECT FROM ${view} v WHERE ${where('v')} AND NOT EXISTS (
           SELECT FROM ${table} t WHERE ${where('t')} AND ${sameKey} AND NOT (${differs(target, 't', 'v')})))
         OR EXISTS (SELECT FROM ${table} t WHERE ${where('t')} AND NOT EXISTS (
           SELECT FROM ${view} v WHERE ${where('v')} AND ${sameKey})) AS differs`;
  const { rows } = await client.query<{ differs: boolean }>(sql, [...parameters]);
  return rows[0]?.differs === true;
}

/** Derives all of a direction; returns the scopes that the targets refuse. */
export async function deriveAll(client: pg.ClientBase, loaded: LoadedDirection): Promise<Set<string>> {
  const refused = new Set<string>();
  for (const target of loaded.targets) await derive(client, target, await everyScope(client, target), refused);
  return refused;
}

/** Columns of which the table has stored something else than the view says, outside of the scopes that it refuses. */
export async function storedOtherwise(
  client: pg.ClientBase,
  target: LoadedTarget,
  refused: ReadonlySet<string>,
): Promise<string[]> {
  const rows: string[] = [];
  const left = [...refused].map((name) => JSON.stringify(scopeOfName(name)));
  const scope = `to_json(ARRAY[${target.scope.map((column) => `v.${quote(column)}::text`).join(', ')}])::text`;
  for (const column of target.columns) {
    if (target.key.includes(column.name)) continue;
    const alone = { ...target, columns: [column] };
    const [row] = await textRows<{ count: string; said: string | null; stored: string | null }>(
      client,
      `SELECT count(*) AS count, min(left(v.${quote(column.name)}::text, 60)) AS said, min(left(t.${quote(column.name)}::text, 60)) AS stored
       FROM ${quoteRelation(target.view)} v JOIN ${quoteRelation(target.relation)} t ON ${equalColumns('t', 'v', target.key)}
       WHERE ${differs(alone, 't', 'v')} AND ${scope} <> ALL ($1)`,
      [left],
    );
    if (Number(row?.count) > 0)
      rows.push(`"${column.name}" (the view says '${row?.said}', the table has '${row?.stored}')`);
  }
  return rows;
}
