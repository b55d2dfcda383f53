import type pg from 'pg';
import { nameOf, quote } from '../identifiers.ts';
import type { MergeResult, Withheld } from '../merge/merge.ts';
import type { Extent } from '../merge/predicate.ts';
import { byTarget, type ScopeRef, scopeIdentity } from '../merge/scopes.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedTarget } from '../migration/load.ts';
import { sqlState } from '../sqlstate.ts';

/** Why a scope could not be merged, as the server said it. */
export interface Reason {
  readonly sqlState: string;
  readonly message: string;
  /** Names the key at fault (`Key (plan_id)=(gold) is not present…`); kept in the database only, never logged. */
  readonly detail?: string | undefined;
}

/** The server's own words for an error that it raised. */
export function reasonOf(error: unknown): Reason {
  const { message, detail } = error as { message: string; detail?: string };
  return { sqlState: sqlState(error) ?? '', message, detail };
}

function waitsForParent({ target, parent, values }: Withheld): Reason {
  const parentTable = nameOf(parent.relation);
  return {
    sqlState: '23503',
    message: `a row of ${nameOf(target.relation)} is withheld: what it refers to is not in ${parentTable} (foreign key "${parent.name}")`,
    detail: `Key (${parent.columns.join(', ')})=(${values.join(', ')}) is not present in table "${parentTable}".`,
  };
}

/** Why scopes that a merge has written are still not what their views say. */
export function leftOver(
  result: Pick<MergeResult, 'lodgers'>,
  withheld: readonly Withheld[],
  stranded: readonly ScopeRef[] = [],
): [ScopeRef, Reason][] {
  const lodger: Reason = {
    // object_not_in_prerequisite_state
    sqlState: '55000',
    message:
      'a row of this scope belongs to another scope, where it could not be written yet; it stays here until it can be',
  };
  const kept: Reason = {
    sqlState: '55000',
    message:
      'a row of this scope is still held by another scope, from which it could not be taken yet; it is not here until that scope can be merged',
  };
  return [
    ...stranded.map((ref): [ScopeRef, Reason] => [ref, kept]),
    ...result.lodgers.map((ref): [ScopeRef, Reason] => [ref, lodger]),
    ...withheld.map((row): [ScopeRef, Reason] => [row, waitsForParent(row)]),
  ];
}

export interface QuarantinedScope {
  direction: DirectionName;
  target: string;
  scope: string[];
  sqlState: string;
  message: string;
  detail: string | null;
  firstFailedAt: string;
  lastFailedAt: string;
  attempts: number;
}

const putSql = `
  INSERT INTO lockstep.quarantine AS q (direction, target, scope, sqlstate, message, detail)
  VALUES ($1, $2, $3::text[], $4, $5, $6)
  ON CONFLICT (direction, target, scope) DO UPDATE
  SET sqlstate = excluded.sqlstate, message = excluded.message, detail = excluded.detail,
      last_failed_at = clock_timestamp(), attempts = q.attempts + 1`;

/** Records that a scope is not what its view says, and why. Its rows in the target stay as they are. */
export async function putIntoQuarantine(
  client: pg.ClientBase,
  direction: DirectionName,
  ref: ScopeRef,
  reason: Reason,
): Promise<void> {
  await client.query(putSql, [
    direction,
    ref.target.name,
    ref.scope,
    reason.sqlState,
    reason.message,
    reason.detail ?? null,
  ]);
}

const releaseSql = `
  DELETE FROM lockstep.quarantine q USING json_array_elements($3::json) AS s (scope)
  WHERE q.direction = $1 AND q.target = $2
    AND q.scope = ARRAY(SELECT json_array_elements_text(s.scope))`;

/** Strikes out scopes that have been merged, except those of `still`. */
export async function releaseFromQuarantine(
  client: pg.ClientBase,
  direction: DirectionName,
  refs: readonly ScopeRef[],
  still: readonly ScopeRef[],
): Promise<void> {
  const kept = new Set(still.map(scopeIdentity));
  for (const { target, scopes } of byTarget(refs.filter((ref) => !kept.has(scopeIdentity(ref))))) {
    await client.query(releaseSql, [direction, target.name, JSON.stringify(scopes)]);
  }
}

/**
 * Strikes out the scopes of a range of one target, except those of `still`: the range has just been merged.
 */
export async function releaseRange(
  client: pg.ClientBase,
  direction: DirectionName,
  target: LoadedTarget,
  extent: Extent,
  still: readonly (readonly string[])[],
): Promise<void> {
  const next = extent.parameters.length + 1;
  const columns = target.scope
    .map((column, index) => `q.scope[${index + 1}]::${target.scopeTypes[index]} AS ${quote(column)}`)
    .join(', ');
  await client.query(
    `DELETE FROM lockstep.quarantine q
     USING (SELECT q.scope AS lockstep_scope, ${columns} FROM lockstep.quarantine q WHERE q.direction = $${next} AND q.target = $${next + 1}) s
     WHERE q.direction = $${next} AND q.target = $${next + 1} AND q.scope = s.lockstep_scope AND ${extent.where('s')}
       AND NOT EXISTS (SELECT FROM json_array_elements($${next + 2}::json) AS k (scope) WHERE ARRAY(SELECT json_array_elements_text(k.scope)) = q.scope)`,
    [...extent.parameters, direction, target.name, JSON.stringify(still)],
  );
}

const listSql = `
  SELECT direction, target, scope, sqlstate AS "sqlState", message, detail,
         first_failed_at::text AS "firstFailedAt", last_failed_at::text AS "lastFailedAt", attempts
  FROM lockstep.quarantine WHERE direction = $1
  ORDER BY target, scope LIMIT $2`;

/** At most `limit` quarantined scopes, by target and scope. */
export async function listQuarantine(
  db: Pick<pg.Pool, 'query'>,
  direction: DirectionName,
  limit: number,
): Promise<QuarantinedScope[]> {
  return (await db.query<QuarantinedScope>(listSql, [direction, limit])).rows;
}
