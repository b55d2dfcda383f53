import { LockstepError } from '../errors.ts';
import { nameOf } from '../identifiers.ts';
import type { Source } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** What the catalogs say about a source's table. */
export interface SourceFacts {
  readonly oid: string;
  /** pg_class.relkind: `r` is an ordinary table. */
  readonly kind: string;
  /** pg_class.relpersistence: `p` is permanent. */
  readonly persistence: string;
  readonly hasChildren: boolean;
  readonly columns: readonly string[];
  readonly generated: readonly string[];
  readonly primaryKey: readonly string[];
  /** pg_class.relreplident: default, index, full, nothing. */
  readonly identity: string;
  /** Columns that name the old row of an update or delete; empty when none can. */
  readonly identityColumns: readonly string[];
}

// Catalogs by name, not to_regclass: the listener's role need not have USAGE on the schemas of the application.
const factsSql = `
  WITH relation AS (
    SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
  ), key_column AS (
    SELECT i.indisprimary, i.indisreplident, i.indisvalid, i.indimmediate, a.attname, k.position
    FROM relation c JOIN pg_index i ON i.indrelid = c.oid
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE k.position <= i.indnkeyatts
  )
  SELECT json_build_object(
    'oid', c.oid::text, 'kind', c.relkind, 'persistence', c.relpersistence, 'identity', c.relreplident,
    'hasChildren', EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
    'columns', a.columns, 'generated', a.generated,
    'primaryKey', (SELECT coalesce(json_agg(k.attname ORDER BY k.position), '[]') FROM key_column k WHERE k.indisprimary),
    'identityColumns', (
      SELECT coalesce(json_agg(k.attname ORDER BY k.position), '[]') FROM key_column k
      WHERE k.indisvalid AND k.indimmediate
        AND CASE c.relreplident WHEN 'd' THEN k.indisprimary WHEN 'i' THEN k.indisreplident ELSE false END)) AS facts
  FROM relation c
  CROSS JOIN LATERAL (
    SELECT coalesce(json_agg(attname), '[]') AS columns,
           coalesce(json_agg(attname) FILTER (WHERE attgenerated <> ''), '[]') AS generated
    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a`;

/** Undefined when there is no such table. */
export async function readSourceFacts(db: Queryable, { relation }: Source): Promise<SourceFacts | undefined> {
  const [row] = await textRows<{ facts: string }>(db, factsSql, [relation.schema, relation.name]);
  return row && (JSON.parse(row.facts) as SourceFacts);
}

/**
 * Whether every change of the table can be captured, and publishing it does no harm: PostgreSQL refuses UPDATE and
 * DELETE on a published table whose replica identity the publication's columns do not cover, and that would stop the
 * application. https://www.postgresql.org/docs/current/logical-replication-col-lists.html
 */
export function flawInSource(source: Source, facts: SourceFacts | undefined): LockstepError | undefined {
  const name = nameOf(source.relation);
  if (!facts)
    return new LockstepError(
      'LS_SOURCE_MISSING',
      `Table ${name} (source "${source.name}") does not exist in this database.`,
    );
  if (facts.kind !== 'r' || facts.persistence !== 'p' || facts.hasChildren) {
    return new LockstepError(
      'LS_SOURCE_KIND',
      `${name} (source "${source.name}") is ${whatItIs(facts)}; not all of its changes can be captured.`,
    );
  }
  const wanted = [...source.key, ...source.routing];
  const missing = wanted.find((column) => !facts.columns.includes(column));
  if (missing !== undefined)
    return new LockstepError(
      'LS_SOURCE_MISSING',
      `Table ${name} (source "${source.name}") has no column "${missing}".`,
    );
  const generated = wanted.find((column) => facts.generated.includes(column));
  if (generated !== undefined) {
    return new LockstepError(
      'LS_SOURCE_KIND',
      `Column "${generated}" of table ${name} is generated; generated columns are not replicated.`,
    );
  }
  if (facts.primaryKey.join('\0') !== source.key.join('\0')) {
    const actual = facts.primaryKey.length > 0 ? `is (${facts.primaryKey.join(', ')})` : 'does not exist';
    return new LockstepError(
      'LS_SOURCE_KEY',
      `The primary key of table ${name} ${actual}; the migration says (${source.key.join(', ')}).`,
    );
  }
  const lacking = source.key.find((column) => !facts.identityColumns.includes(column));
  const beyond = facts.identityColumns.find((column) => !wanted.includes(column));
  if (lacking !== undefined || beyond !== undefined) {
    return new LockstepError(
      'LS_SOURCE_IDENTITY',
      `The replica identity of table ${name} is ${identityOf(facts)} instead of its primary key.`,
    );
  }
  return undefined;
}

function whatItIs({ kind, persistence, hasChildren }: SourceFacts): string {
  if (kind === 'p') return 'a partitioned table';
  if (kind !== 'r') return 'not a table';
  if (persistence !== 'p') return persistence === 'u' ? 'an unlogged table' : 'a temporary table';
  return hasChildren ? 'a table that others inherit from' : 'not a permanent table';
}

function identityOf({ identity, identityColumns }: SourceFacts): string {
  if (identity === 'f') return 'FULL';
  if (identity === 'n') return 'NOTHING';
  if (identityColumns.length === 0)
    return identity === 'd' ? 'a deferrable primary key' : 'an index that no longer exists';
  return `an index on (${identityColumns.join(', ')})`;
}

/**
 * Checks every source and returns them by the OID of their table, which is what the stream knows them by.
 *
 * @throws LockstepError LS_SOURCE_MISSING, LS_SOURCE_KIND, LS_SOURCE_KEY or LS_SOURCE_IDENTITY for the first that will not do.
 */
export async function checkSources(db: Queryable, sources: readonly Source[]): Promise<Map<number, Source>> {
  const byOid = new Map<number, Source>();
  for (const source of sources) {
    const facts = await readSourceFacts(db, source);
    const flaw = flawInSource(source, facts);
    if (flaw) throw flaw;
    if (facts) byOid.set(Number(facts.oid), source);
  }
  return byOid;
}
