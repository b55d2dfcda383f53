import type pg from 'pg';
import { quote, quoteRelation } from '../../engine/identifiers.ts';
import type { LoadedDirection } from '../../engine/migration/load.ts';

/**
 * Rows in which a target is not what its view says, by plain EXCEPT both ways; rows of quarantined scopes left out.
 * By target name, as JSON; targets that agree are not named.
 */
export async function differences(pool: pg.Pool, loaded: LoadedDirection): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {};
  for (const target of loaded.targets) {
    // Types without equality are compared as text.
    const columns = target.columns
      .map(({ name, comparable }) => (comparable ? quote(name) : `${quote(name)}::text AS ${quote(name)}`))
      .join(', ');
    const view = quoteRelation(target.view);
    const table = quoteRelation(target.relation);
    const scope = target.scope.map((column) => `d.${quote(column)}::text`).join(', ');
    const { rows } = await pool.query<{ row: unknown }>(
      `SELECT to_jsonb(d) AS row FROM (
         (SELECT 'missing' AS what, e.* FROM (SELECT ${columns} FROM ${view} EXCEPT SELECT ${columns} FROM ${table}) e)
         UNION ALL
         (SELECT 'extra', e.* FROM (SELECT ${columns} FROM ${table} EXCEPT SELECT ${columns} FROM ${view}) e)) d
       WHERE NOT EXISTS (SELECT FROM lockstep.quarantine q WHERE q.target = $1 AND q.scope = ARRAY[${scope}])`,
      [target.name],
    );
    if (rows.length > 0) found[target.name] = rows.map(({ row }) => row);
  }
  return found;
}
