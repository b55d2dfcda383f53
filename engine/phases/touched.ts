import type pg from 'pg';
import { extentOfScopes } from '../merge/predicate.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { compare, type Difference, findDifferences } from '../validate/compare.ts';

/**
 * A scope that someone has written since it was last compared, and the transaction that did it last. Who writes it waits for
 * the entry's lock, so whoever sees an entry sees all that was written by its transaction and by those before.
 */
interface Touched {
  readonly scope: string[];
  readonly xid: string;
}

const comparedTogether = 2_000;

const visibleSql = `
  SELECT target, to_json(t.scope) AS scope, xid::text AS xid FROM lockstep.touched t
  WHERE direction = $1 AND t.scope <> '{}'
  ORDER BY t.target, t.scope LIMIT $2`;
// An entry that a transaction which is open has written is not waited for: it would be kept afterwards.
const forgetSql = `
  WITH agreeing AS (
    SELECT t.scope FROM lockstep.touched t JOIN json_to_recordset($3::json) AS d (scope json, xid text)
      ON t.xid = d.xid::xid8 AND t.scope = ARRAY(SELECT json_array_elements_text(d.scope))
    WHERE t.direction = $1 AND t.target = $2 FOR UPDATE OF t SKIP LOCKED)
  DELETE FROM lockstep.touched t USING agreeing a WHERE t.direction = $1 AND t.target = $2 AND t.scope = a.scope`;

/**
 * Compares scopes that were touched and forgets those that agree, so that fewer are left for the moment in which writers
 * wait. One snapshot reads what was touched and both sides; a scope that another transaction touches meanwhile keeps its
 * entry, which names that one then, however old it is.
 *
 * @returns how many were compared, how many of them agreed, and how many of those were forgotten.
 */
export async function compareTouched(
  client: pg.ClientBase,
  loaded: LoadedDirection,
): Promise<{ compared: number; agreed: number; forgotten: number }> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const entries = await textRows<{ target: string; scope: string; xid: string }>(client, visibleSql, [
    loaded.name,
    comparedTogether,
  ]);
  const agreeing: [LoadedTarget, Touched[]][] = [];
  for (const target of loaded.targets) {
    const touched = entries
      .filter((entry) => entry.target === target.name)
      .map(({ scope, xid }) => ({ scope: JSON.parse(scope) as string[], xid }));
    if (touched.length === 0) continue;
    const differing = await differingScopes(
      client,
      target,
      touched.map(({ scope }) => scope),
    );
    agreeing.push([target, touched.filter(({ scope }) => !differing.has(JSON.stringify(scope)))]);
  }
  await client.query('COMMIT');
  let forgotten = 0;
  for (const [target, touched] of agreeing) {
    const { rowCount } = await client.query(forgetSql, [loaded.name, target.name, JSON.stringify(touched)]);
    forgotten += rowCount ?? 0;
  }
  const agreed = agreeing.reduce((sum, [, touched]) => sum + touched.length, 0);
  return { compared: entries.length, agreed, forgotten };
}

async function differingScopes(db: Queryable, target: LoadedTarget, scopes: readonly string[][]): Promise<Set<string>> {
  const { scopes: differing } = await compare(db, target, extentOfScopes(target, scopes));
  return new Set(differing.map((scope) => JSON.stringify(scope)));
}

const allSql =
  'SELECT target, to_json(t.scope) AS scope FROM lockstep.touched t WHERE direction = $1 ORDER BY t.target, t.scope';

export interface Verified {
  readonly scopes: number;
  /** Targets that were written as a whole (truncated), so that comparing scopes proves nothing. */
  readonly whole: readonly string[];
  /** Rows that differ, of the first target in which any do. */
  readonly differences: readonly (Difference & { readonly target: string })[];
}

/** Compares every scope that was touched and not compared since, in the caller's transaction, under its locks. */
export async function verifyTouched(db: Queryable, loaded: LoadedDirection): Promise<Verified> {
  const entries = await textRows<{ target: string; scope: string }>(db, allSql, [loaded.name]);
  const whole = entries.filter(({ scope }) => scope === '[]').map(({ target }) => target);
  for (const target of loaded.targets) {
    const scopes = entries
      .filter((entry) => entry.target === target.name && entry.scope !== '[]')
      .map(({ scope }) => JSON.parse(scope) as string[]);
    for (let from = 0; from < scopes.length; from += comparedTogether) {
      const part = scopes.slice(from, from + comparedTogether);
      if ((await differingScopes(db, target, part)).size === 0) continue;
      const differences = await findDifferences(db, loaded.name, target, extentOfScopes(target, part));
      return {
        scopes: entries.length,
        whole,
        differences: differences.map((row) => ({ ...row, target: target.name })),
      };
    }
  }
  return { scopes: entries.length, whole, differences: [] };
}

const countSql = 'SELECT count(*) AS count FROM lockstep.touched WHERE direction = $1';

export async function countTouched(db: Queryable, direction: DirectionName): Promise<number> {
  return Number((await textRows<{ count: string }>(db, countSql, [direction]))[0]?.count);
}

const validatedSql = `
  DELETE FROM lockstep.touched t USING lockstep.validation v
  WHERE v.id = $1 AND t.direction = v.direction AND t.xid < v.sees_below`;

/** Forgets what was touched before a validation that has found every target to agree: it has compared all of it. */
export async function forgetValidated(db: Queryable, validationId: string): Promise<void> {
  await db.query(validatedSql, [validationId]);
}
