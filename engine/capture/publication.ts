import { LockstepError } from '../errors.ts';
import { nameOf, quote, quoteRelation } from '../identifiers.ts';
import type { Direction, DirectionName, Source } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { publicationName } from './names.ts';
import { checkSources } from './sources.ts';

/** What the catalogs say about a publication. */
export interface PublicationFacts {
  readonly allTables: boolean;
  readonly viaRoot: boolean;
  /** Whether insert, update, delete and truncate are all published. */
  readonly everything: boolean;
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    readonly columns: readonly string[];
    readonly filter: string | null;
  }[];
}

const factsSql = `
  SELECT json_build_object(
    'allTables', p.puballtables, 'viaRoot', p.pubviaroot,
    'everything', p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,
    'tables', (
      SELECT coalesce(json_agg(json_build_object('schema', t.schemaname, 'name', t.tablename,
        'columns', to_json(t.attnames), 'filter', t.rowfilter)), '[]')
      FROM pg_publication_tables t WHERE t.pubname = p.pubname)) AS facts
  FROM pg_publication p WHERE p.pubname = $1`;

/** Undefined when there is no such publication in this database. */
export async function readPublication(db: Queryable, name: string): Promise<PublicationFacts | undefined> {
  const [row] = await textRows<{ facts: string }>(db, factsSql, [name]);
  return row && (JSON.parse(row.facts) as PublicationFacts);
}

/** What is published of a source: enough to name its rows and to find their scopes, and nothing that is personal. */
function publishedColumns(source: Source): string[] {
  return [...new Set([...source.key, ...source.routing])];
}

/** How a publication departs from the declaration, in words; undefined when it does not. */
export function publicationDeparture(facts: PublicationFacts, sources: readonly Source[]): string | undefined {
  if (facts.allTables) return 'it is FOR ALL TABLES';
  if (!facts.everything) return 'it does not publish all of insert, update, delete and truncate';
  if (facts.viaRoot) return 'it publishes partitions as their root';
  for (const source of sources) {
    const table = facts.tables.find(
      ({ schema, name }) => schema === source.relation.schema && name === source.relation.name,
    );
    if (!table) return `it lacks table ${nameOf(source.relation)}`;
    if (table.filter !== null) return `it filters the rows of ${nameOf(source.relation)}`;
    const wanted = publishedColumns(source).sort().join(', ');
    const actual = [...table.columns].sort().join(', ');
    if (wanted !== actual) return `of ${nameOf(source.relation)} it has the columns (${actual}) instead of (${wanted})`;
  }
  const foreign = facts.tables.find(
    ({ schema, name }) => !sources.some(({ relation }) => relation.schema === schema && relation.name === name),
  );
  return foreign && `it has table ${nameOf(foreign)}, which the migration does not`;
}

function tableList(sources: readonly Source[]): string {
  // Not partition roots or parents (see sources.ts), so ONLY takes nothing away; it keeps out tables that inherit later.
  return sources
    .map((source) => `ONLY ${quoteRelation(source.relation)} (${publishedColumns(source).map(quote).join(', ')})`)
    .join(', ');
}

const options = `publish = 'insert, update, delete, truncate', publish_via_partition_root = false`;

/**
 * Makes the publication of a direction exactly what the migration declares: `FOR TABLE t (key and routing columns)`.
 * To be run by the owner of the tables (`lockstep migrate`), in a transaction or not.
 *
 * @throws LockstepError LS_SOURCE_… when publishing a table would stop the application from writing to it,
 * LS_PUBLICATION_DIFFERS when the publication was made FOR ALL TABLES, which cannot be altered to less.
 */
export async function ensurePublication(
  db: Queryable,
  directionName: DirectionName,
  direction: Direction,
): Promise<'created' | 'altered' | 'unchanged'> {
  await checkSources(db, direction.sources);
  const name = publicationName(directionName);
  const facts = await readPublication(db, name);
  if (!facts) {
    await db.query(`CREATE PUBLICATION ${quote(name)} FOR TABLE ${tableList(direction.sources)} WITH (${options})`);
    return 'created';
  }
  const departure = publicationDeparture(facts, direction.sources);
  if (departure === undefined) return 'unchanged';
  if (facts.allTables) throw differs(name, departure);
  await db.query(`ALTER PUBLICATION ${quote(name)} SET (${options})`);
  await db.query(`ALTER PUBLICATION ${quote(name)} SET TABLE ${tableList(direction.sources)}`);
  return 'altered';
}

/**
 * Checks that the publication is what the migration declares.
 *
 * @throws LockstepError LS_PUBLICATION_MISSING or LS_PUBLICATION_DIFFERS.
 */
export async function checkPublication(
  db: Queryable,
  directionName: DirectionName,
  direction: Direction,
): Promise<void> {
  const name = publicationName(directionName);
  const facts = await readPublication(db, name);
  if (!facts) throw new LockstepError('LS_PUBLICATION_MISSING', `Publication ${name} does not exist in this database.`);
  const departure = publicationDeparture(facts, direction.sources);
  if (departure !== undefined) throw differs(name, departure);
}

function differs(name: string, departure: string): LockstepError {
  return new LockstepError(
    'LS_PUBLICATION_DIFFERS',
    `Publication ${name} is not what the migration declares: ${departure}.`,
  );
}
