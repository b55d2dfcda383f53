import type pg from 'pg';
import { nameOf, quote } from '../identifiers.ts';
import type { Withheld } from '../merge/merge.ts';
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

const lodges: Reason = {
  // object_not_in_prerequisite_state
  sqlState: '55000',
  message:
    'a row of this scope belongs to another scope, where it could not be written yet; it stays here until it can be',
};

/**
 * Why scopes that a merge has written are still not what their views say.
 *
 * @param lodgers scopes with a row that belongs to another one, and to which.
 * @param refusal what the server said of the stranded scopes when they were merged together.
 */
export function leftOver(
  lodgers: readonly (ScopeRef & { readonly belongsTo?: ScopeRef })[],
  withheld: readonly Withheld[],
  stranded: readonly ScopeRef[] = [],
  refusal?: Error,
): [ScopeRef, Reason][] {
  const kept: Reason = {
    sqlState: '55000',
    message: `a row of this scope belongs to another one, or is held by another one, and could not be moved yet; it stays where it was until both can be merged. (Of a single scope: the table has not taken what was written; look for a trigger or policy that suppresses it.)${
      refusal ? `. Together they are refused: ${refusal.message}` : ''
    }`,
    detail: refusal && reasonOf(refusal).detail,
  };
  const once = new Map(lodgers.map((ref) => [scopeIdentity(ref), ref]));
  return [
    ...stranded.map((ref): [ScopeRef, Reason] => [ref, kept]),
    ...[...once.values()].map((ref): [ScopeRef, Reason] => [ref, { ...lodges, detail: whereTo(ref.belongsTo) }]),
    ...withheld.map((row): [ScopeRef, Reason] => [row, waitsForParent(row)]),
  ];
}

const whereTo = (belongsTo: ScopeRef | undefined) =>
  belongsTo && `It belongs to (${belongsTo.target.scope.join(', ')})=(${belongsTo.scope.join(', ')}).`;

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
      last_failed_at = clock_timestamp(), attempts = CASE q.sqlstate WHEN '40003' THEN 1 ELSE q.attempts + 1 END`;

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

/** SQL: leaves out scopes that were noted a moment ago (`noteUnfinished`), whose work is under way. */
export const notUnderWay = `NOT (sqlstate = '40003' AND last_failed_at > clock_timestamp() - interval '10 seconds')`;

// In one order, so that two who note the same scopes do not wait for each other.
const noteSql = `
  INSERT INTO lockstep.quarantine (direction, target, scope, sqlstate, message)
  SELECT $1, $2, s.scope, $4, $5 FROM (
    SELECT ARRAY(SELECT json_array_elements_text(e.scope)) AS scope FROM json_array_elements($3::json) AS e (scope)) s
  ORDER BY s.scope ON CONFLICT (direction, target, scope) DO NOTHING`;
// statement_completion_unknown
const unfinished: Reason = {
  sqlState: '40003',
  message:
    'a merge of this scope goes on in another transaction; should that be interrupted, the scope is merged again from here',
};

/**
 * Notes scopes that a further transaction of the same work is to merge, unless they are in quarantine already. That
 * releases them. Should it be interrupted, a message that comes again may lead elsewhere: what led it here may be gone
 * since, by an event that did not find these scopes.
 */
export async function noteUnfinished(
  client: pg.ClientBase,
  direction: DirectionName,
  refs: readonly ScopeRef[],
): Promise<void> {
  for (const { target, scopes } of byTarget(refs)) {
    const { sqlState: state, message } = unfinished;
    await client.query(noteSql, [direction, target.name, JSON.stringify(scopes), state, message]);
  }
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
