import type { ClientBase } from 'pg';
import { rows } from '../sql/world.ts';

const tables = `('subscriptions', 'photos', 'media_items', 'generated_videos', 'users', 'video_projects', 'usage_records')`;
const comment = (oid: string, catalog: string) => `coalesce(' -- ' || obj_description(${oid}, '${catalog}'), '')`;

/** Written apart from engine/schema/006, so that what that one forgets is seen here. */
const catalogSql = `
WITH c AS (
  SELECT c.* FROM pg_class c
  WHERE (c.relnamespace = 'public'::regnamespace AND c.relname IN ${tables})
    OR (c.relnamespace = to_regnamespace('lockstep_app') AND c.relkind = 'r'))
SELECT 'schema ' || n.nspname AS name, concat_ws(' | ', n.nspowner::regrole, n.nspacl, obj_description(n.oid, 'pg_namespace')) AS is
FROM pg_namespace n WHERE n.nspname = 'lockstep_app'
UNION ALL
SELECT 'table ' || c.relname AS name,
  concat_ws(' | ', c.relkind, c.relpersistence, c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relowner::regrole, c.relacl, obj_description(c.oid, 'pg_class')) AS is
FROM c
UNION ALL
SELECT 'column ' || c.relname || '.' || a.attname,
  concat_ws(' | ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attcollation, a.attstorage, a.attcompression,
    a.attstattarget, a.attoptions, a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum),
    -- Columns that were dropped and came back are the last ones.
    CASE WHEN c.relname <> 'users' THEN (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attnum BETWEEN 1 AND a.attnum AND NOT b.attisdropped) END)
FROM c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint ' || n.conrelid::regclass || ' ' || n.conname, pg_get_constraintdef(n.oid) || concat_ws(' ', '', n.convalidated, n.condeferrable, n.condeferred) || ${comment('n.oid', 'pg_constraint')}
FROM pg_constraint n WHERE n.conrelid IN (SELECT oid FROM c) OR n.confrelid IN (SELECT oid FROM c)
UNION ALL
SELECT 'index ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) || concat_ws(' ', '', i.indisprimary, i.indisunique, i.indisvalid, i.indisclustered, i.indisreplident, i.indimmediate) || ${comment('i.indexrelid', 'pg_class')}
FROM pg_index i WHERE i.indrelid IN (SELECT oid FROM c)
UNION ALL
SELECT 'sequence ' || s.oid::regclass, concat_ws(' ', format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmax, q.seqcycle, pg_sequence_last_value(s.oid), d.deptype, d.refobjid::regclass, d.refobjsubid)
FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') WHERE d.refobjid IN (SELECT oid FROM c)
UNION ALL
SELECT 'trigger ' || g.tgrelid::regclass || ' ' || g.tgname, pg_get_triggerdef(g.oid) || ' ' || g.tgenabled::text || ${comment('g.oid', 'pg_trigger')}
FROM pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM c) AND NOT g.tgisinternal
UNION ALL
SELECT 'rule ' || r.rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r WHERE r.ev_class IN (SELECT oid FROM c)
UNION ALL
SELECT 'policy ' || p.policyname, (to_jsonb(p))::text FROM pg_policies p WHERE p.tablename IN ${tables}
UNION ALL
SELECT 'statistics ' || e.stxname, pg_get_statisticsobjdef(e.oid) FROM pg_statistic_ext e WHERE e.stxrelid IN (SELECT oid FROM c)
UNION ALL
SELECT 'publication ' || p.pubname || ' ' || p.tablename, concat_ws(' | ', p.attnames, p.rowfilter) FROM pg_publication_tables p WHERE p.tablename IN ${tables}
UNION ALL
-- Names of columns in further branches of a UNION are printed or not, and mean nothing.
SELECT 'view ' || v.oid::regclass, regexp_replace(pg_get_viewdef(v.oid), ' AS "?[a-z0-9_?]+"?|[()]', '', 'g') || coalesce(v.relacl::text, '') || v.relowner::regrole::text || ${comment('v.oid', 'pg_class')}
FROM pg_class v WHERE v.relnamespace IN ('lockstep_forward'::regnamespace, 'lockstep_reverse'::regnamespace) AND v.relkind = 'v'`;

/** Everything that the catalogs say about the legacy tables and the views of the mapping, by kind and name. */
export async function legacyCatalog(client: ClientBase): Promise<Record<string, string>> {
  await client.query("SET search_path = ''");
  const found = await rows<{ name: string; is: string }>(client, catalogSql);
  await client.query('RESET search_path');
  return Object.fromEntries(found.map(({ name, is }) => [name, is]).sort());
}

/** Every legacy row, as the server prints it. */
export async function legacyRows(client: ClientBase): Promise<Record<string, unknown>> {
  const content: Record<string, unknown> = {};
  for (const table of ['subscriptions', 'photos', 'media_items', 'generated_videos', 'users'])
    content[table] = await rows(client, `SELECT to_jsonb(t) AS row FROM public.${table} t ORDER BY id`);
  for (const table of ['shadow_reads', 'shadow_differences'])
    content[table] = await rows(client, `SELECT to_jsonb(t) AS row FROM lockstep_app.${table} t ORDER BY method`);
  return content;
}
