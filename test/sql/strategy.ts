import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';
import type { DatabaseTemplate } from '../support/database.ts';
import { rows } from './world.ts';

/** A step of the strategy, word by word. */
export function original(step: string): Promise<string> {
  return readFile(new URL(`strategy/${step}.sql`, import.meta.url), 'utf8');
}

/** What has to be replaced before a step runs at all, so that what it does when it runs can be looked at. */
const repairs: Readonly<Record<string, readonly (readonly [what: string, by: string])[]>> = {
  '001_create_normalized_tables': [
    // Erratum 1.
    [
      'CREATE TABLE audit_logs (\n  id UUID PRIMARY KEY DEFAULT',
      'CREATE TABLE audit_logs (\n  PRIMARY KEY (id, created_at),\n  id UUID DEFAULT',
    ],
  ],
  // generation_jobs has no created_at.
  '002_create_indexes': [
    ['generation_jobs(project_id, created_at DESC)', 'generation_jobs(project_id, queued_at DESC)'],
    ['generation_jobs(user_id, created_at DESC)', 'generation_jobs(user_id, queued_at DESC)'],
  ],
  // media_items has no file_type.
  '005_migrate_media_files': [['mi.file_type', "'file'"]],
};

/** The same, made to run. @throws when there is nothing left to replace. */
export async function repaired(step: string): Promise<string> {
  let sql = await original(step);
  for (const [what, by] of repairs[step] ?? []) {
    if (!sql.includes(what)) throw new Error(`${step} does not say ${what}`);
    sql = sql.replace(what, by);
  }
  return sql;
}

const legacy = () => readFile(new URL('../../sql/000_legacy_schema.sql', import.meta.url), 'utf8');

/** The legacy schema, empty. */
export const legacyOnly: DatabaseTemplate = {
  name: 'legacy_only',
  async build(pool) {
    await pool.query(await legacy());
  },
};

/** The strategy's own normalized schema, empty, repaired as far as it must be to exist. */
export const strategySchema: DatabaseTemplate = {
  name: 'strategy_schema',
  async build(pool) {
    await pool.query(await legacy());
    for (const step of ['001_create_normalized_tables', '002_create_indexes', '003_create_functions'])
      await pool.query(await repaired(step));
    await pool.query(await original('007_validation_checks'));
  },
};

const inventorySql = `
  SELECT 'column ' || a.attrelid::regclass || '.' || a.attname AS name,
         format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
           || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS definition
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT 'table ' || c.oid::regclass, coalesce(pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), '')
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT 'index ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL
  SELECT 'constraint ' || conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
  UNION ALL
  SELECT 'function ' || p.proname, pg_get_function_arguments(p.oid) || ' -> ' || pg_get_function_result(p.oid) || ' ' || p.provolatile::text
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
  UNION ALL
  SELECT 'plan ' || id, (to_jsonb(s) - ARRAY['created_at', 'updated_at'])::text FROM subscription_plans s`;

/** Everything that schema public has, by kind and name: its definition, as the server prints it. */
export async function inventory(client: ClientBase): Promise<Map<string, string>> {
  const found = await rows<{ name: string; definition: string }>(client, inventorySql);
  return new Map(found.map(({ name, definition }) => [name, definition]));
}
