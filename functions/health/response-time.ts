import { type Queryable, textRows } from '../../engine/text-query.ts';

/** By statement: its calls and their time, since the server began to count. */
export type Statements = ReadonlyMap<string, { readonly calls: number; readonly totalMs: number }>;

const extensionSql = `
  SELECT quote_ident(n.nspname) || '.pg_stat_statements' AS relation
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'pg_stat_statements'`;

/** Of this database, without Lockstep's own roles: the question is what the application notices. */
const statementsSql = (relation: string) => `
  SELECT s.userid || '/' || s.queryid AS id, s.calls, s.total_exec_time AS ms
    FROM ${relation} s
   WHERE s.toplevel AND s.queryid IS NOT NULL
     AND s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
     AND s.userid NOT IN (SELECT oid FROM pg_catalog.pg_roles WHERE starts_with(rolname, 'lockstep_'))`;

/** Undefined without pg_stat_statements in this database: https://www.postgresql.org/docs/current/pgstatstatements.html */
export async function readStatements(db: Queryable): Promise<Statements | undefined> {
  const [extension] = await textRows<{ relation: string }>(db, extensionSql);
  if (!extension) return undefined;
  const rows = await textRows<{ id: string; calls: string; ms: string }>(db, statementsSql(extension.relation));
  return new Map(rows.map(({ id, calls, ms }) => [id, { calls: Number(calls), totalMs: Number(ms) }]));
}

/**
 * The 95th percentile of the calls between two looks, each call counted with its statement's mean time: the server
 * keeps sums, not single calls, so one slow call among fast ones of the same statement does not show.
 * Undefined when nothing was called.
 */
export function queryP95Ms(before: Statements, now: Statements): number | undefined {
  const recent = [...now]
    .map(([id, { calls, totalMs }]) => {
      const known = before.get(id);
      // Counters that went back were reset: what they say now is all since then.
      const base = known && known.calls <= calls ? known : { calls: 0, totalMs: 0 };
      return { calls: calls - base.calls, totalMs: totalMs - base.totalMs };
    })
    .filter(({ calls }) => calls > 0)
    .map(({ calls, totalMs }) => ({ calls, meanMs: Math.max(0, totalMs) / calls }))
    .sort((a, b) => a.meanMs - b.meanMs);
  const all = recent.reduce((sum, { calls }) => sum + calls, 0);
  let counted = 0;
  return recent.find(({ calls }) => {
    counted += calls;
    return counted >= 0.95 * all;
  })?.meanMs;
}
