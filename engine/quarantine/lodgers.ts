import type pg from 'pg';
import { orRefused } from '../apply/narrow.ts';
import { type Conflict, conflictsSql } from '../merge/conflicts.ts';
import type { Moved } from '../merge/moved.ts';
import { extentOfScopes } from '../merge/predicate.ts';
import { byTarget, distinctScopes, type ScopeRef, scopeIdentity } from '../merge/scopes.ts';
import type { LoadedDirection } from '../migration/load.ts';

/*
 * A row that has moved to a scope which is in quarantine is left where it was, and no event of the scope that keeps it is to
 * come. That one goes into quarantine, too, for it is not what its view says. Whoever leaves the row asks whether the other
 * scope is in quarantine (`lodgersOf`). Whoever has put a scope there looks, once that is committed, for scopes that keep
 * rows of it (`keepersOf`), and merges them. So that one of the two sees what the other has committed.
 */

const inQuarantineSql = `
  SELECT q.scope FROM lockstep.quarantine q JOIN json_array_elements($3::json) AS s (scope)
    ON q.scope = ARRAY(SELECT json_array_elements_text(s.scope))
  WHERE q.direction = $1 AND q.target = $2`;

/** Of the rows that merges have left where they were: those that belong to a scope in quarantine. */
export async function lodgersOf(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  moved: readonly Moved[],
): Promise<Moved[]> {
  const found: Moved[] = [];
  for (const { target, scopes } of byTarget(distinctScopes(moved.map(({ belongsTo }) => belongsTo)))) {
    const { rows } = await client.query<{ scope: string[] }>(inQuarantineSql, [
      loaded.name,
      target.name,
      JSON.stringify(scopes),
    ]);
    const inQuarantine = new Set(rows.map(({ scope }) => scopeIdentity({ target, scope })));
    found.push(...moved.filter(({ belongsTo }) => inQuarantine.has(scopeIdentity(belongsTo))));
  }
  return found;
}

/**
 * The scopes that keep rows which the view has in scopes that were refused. A scope of which the view itself raises an error
 * is passed over: where its rows belong cannot be told.
 */
export async function keepersOf(client: pg.ClientBase, refused: readonly ScopeRef[]): Promise<Moved[]> {
  const found: Moved[] = [];
  for (const { target, scopes } of byTarget(refused.filter((ref) => !ref.target.scopeIsKey))) {
    const ask = (some: readonly (readonly string[])[]) =>
      orRefused(client, async () => {
        const parameters = [...extentOfScopes(target, some).parameters];
        const { rows } = await client.query<Conflict>(conflictsSql(target, target.key), parameters);
        return rows.map(({ scope, belongs }): Moved => ({ target, scope, belongsTo: { target, scope: belongs } }));
      });
    const all = await ask(scopes);
    if ('value' in all) found.push(...all.value);
    else if (scopes.length > 1)
      for (const scope of scopes) {
        const one = await ask([scope]);
        if ('value' in one) found.push(...one.value);
      }
  }
  return found;
}
