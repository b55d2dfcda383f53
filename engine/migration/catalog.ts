import type pg from 'pg';
import type { Relation } from './contract.ts';

type Queryable = Pick<pg.Pool, 'query'>;

export interface CatalogColumn {
  name: string;
  /** As format_type prints it, modifiers included. */
  type: string;
  /** Whether `=` tells all differences; json, xml and the like have no `=`, and that of some types folds what is different. */
  comparable: boolean;
  /**
   * What names a value in a lock, so that equal values have one name: its text; its text as a number without zeros that say
   * nothing (1.0 is 1.00, -0 is 0); or nothing, where texts of equal values may differ in any way, so that all share a lock.
   */
  lockedBy: 'text' | 'number' | 'nothing';
}

const columnsSql = `
  SELECT a.attname AS name,
         format_type(a.atttypid, a.atttypmod) AS type,
         -- 30 days = 1 month, 1.0 = 1.00 (in jsonb, too), 0 = -0; citext and nondeterministic collations fold what is different.
         y.name NOT IN ('citext', 'interval', 'float4', 'float8', 'jsonb', 'numrange', 'nummultirange')
         -- Without a scale of the column's own each number has one, and characters of no fixed length may end in blanks.
         AND (y.modifier >= 0 OR y.name NOT IN ('numeric', 'bpchar'))
         AND coalesce(l.collisdeterministic, true) AND EXISTS (
           SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname IN ('btree', 'hash')
           WHERE o.opcdefault AND (o.opcintype = a.atttypid OR o.opcintype = t.typbasetype
             OR (t.typtype = 'e' AND o.opcintype = 'anyenum'::regtype)
             OR (t.typcategory = 'A' AND o.opcintype = 'anyarray'::regtype AND NOT EXISTS (
                   SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typname IN ('json', 'xml', 'citext')))
             OR (t.typname = 'varchar' AND o.opcintype = 'text'::regtype)
             OR (t.typtype = 'r' AND o.opcintype = 'anyrange'::regtype)
             OR (t.typtype = 'm' AND o.opcintype = 'anymultirange'::regtype))) AS comparable,
         CASE
           WHEN e.oid IS NOT NULL THEN 'nothing'
           WHEN y.name IN ('numeric', 'float4', 'float8') THEN 'number'
           WHEN NOT coalesce(l.collisdeterministic, true) OR (y.name = 'bpchar' AND y.modifier < 0) THEN 'nothing'
           WHEN 'e' IN (t.typtype, b.typtype) OR y.name IN ('int2', 'int4', 'int8', 'oid', 'uuid', 'text', 'varchar', 'bpchar',
             'name', 'bool', 'bytea', 'date', 'time', 'timestamp', 'timestamptz', 'inet', 'cidr', 'macaddr', 'macaddr8') THEN 'text'
           ELSE 'nothing'
         END AS "lockedBy"
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type b ON b.oid = t.typbasetype
  LEFT JOIN pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem
  LEFT JOIN pg_type eb ON eb.oid = e.typbasetype
  -- Of an array: its elements'.
  CROSS JOIN LATERAL (SELECT coalesce(eb.typname, e.typname, b.typname, t.typname) AS name,
    CASE WHEN eb.oid IS NOT NULL THEN e.typtypmod WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END AS modifier) AS y
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  WHERE n.nspname = $1 AND c.relname = $2
  ORDER BY a.attnum`;

/** The columns of a table or view, in order; none when it does not exist. */
export async function readColumns(db: Queryable, relation: Relation): Promise<CatalogColumn[]> {
  return (await db.query<CatalogColumn>(columnsSql, [relation.schema, relation.name])).rows;
}

const primaryKeySql = `
  SELECT a.attname AS name
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
  WHERE i.indisprimary AND n.nspname = $1 AND c.relname = $2
  ORDER BY k.position`;

/** The primary key's columns, in order; none when there is no primary key. */
export async function readPrimaryKey(db: Queryable, relation: Relation): Promise<string[]> {
  const result = await db.query<{ name: string }>(primaryKeySql, [relation.schema, relation.name]);
  return result.rows.map((row) => row.name);
}

export interface CatalogForeignKey {
  name: string;
  columns: string[];
  parentSchema: string;
  parentName: string;
  parentColumns: string[];
  /** What becomes of a row when the one that it refers to is deleted (ON DELETE CASCADE; SET NULL and SET DEFAULT; neither). */
  onDelete: 'goes' | 'changes' | 'forbids';
}

const foreignKeysSql = `
  SELECT f.conname AS name,
         (SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, position)
          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) AS columns,
         pn.nspname AS "parentSchema", pc.relname AS "parentName",
         (SELECT json_agg(a.attname ORDER BY k.position) FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, position)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum) AS "parentColumns",
         CASE WHEN f.confdeltype = 'c' THEN 'goes' WHEN f.confdeltype IN ('n', 'd') THEN 'changes' ELSE 'forbids' END AS "onDelete"
  FROM pg_constraint f
  JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class pc ON pc.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
  WHERE f.contype = 'f' AND f.conparentid = 0 AND n.nspname = $1 AND c.relname = $2
    -- One that is not enforced (18 and later) keeps no row away.
    AND coalesce((to_jsonb(f) ->> 'conenforced')::boolean, true)
  ORDER BY f.conname`;

/** The foreign keys that a table holds towards others. */
export async function readForeignKeys(db: Queryable, relation: Relation): Promise<CatalogForeignKey[]> {
  return (await db.query<CatalogForeignKey>(foreignKeysSql, [relation.schema, relation.name])).rows;
}

const referencedSql = `
  SELECT EXISTS (
    SELECT FROM pg_constraint f
    JOIN pg_class c ON c.oid = f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND n.nspname = $1 AND c.relname = $2) AS referenced`;

/** Whether any foreign key points at this table. */
export async function isReferenced(db: Queryable, relation: Relation): Promise<boolean> {
  const result = await db.query<{ referenced: boolean | string }>(referencedSql, [relation.schema, relation.name]);
  // Pools may hand out every value as text.
  return result.rows[0]?.referenced === true || result.rows[0]?.referenced === 't';
}

export interface CatalogUnique {
  name: string;
  columns: string[];
}

const uniquesSql = `
  SELECT ic.relname AS name, json_agg(a.attname ORDER BY k.position) AS columns
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class ic ON ic.oid = i.indexrelid
  CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
  WHERE (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary AND n.nspname = $1 AND c.relname = $2
    AND i.indnatts = i.indnkeyatts AND 0 <> ALL (i.indkey)
  GROUP BY ic.relname ORDER BY ic.relname`;

/** Unique and exclusion constraints on plain columns, the primary key left out. */
export async function readUniques(db: Queryable, relation: Relation): Promise<CatalogUnique[]> {
  return (await db.query<CatalogUnique>(uniquesSql, [relation.schema, relation.name])).rows;
}
