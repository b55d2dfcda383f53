import { hasSqlDetails, parse } from 'libpg-query';
import { nameOf, quoteRelation } from '../identifiers.ts';
import type { Direction, DirectionName, Relation, Target } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { Finding, RuleName } from './rules.ts';

/** A table that a view reads, itself or through other views and functions, and the columns of it that are used. */
interface Read {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
}

// What PostgreSQL itself records: the rules of views depend on columns, functions with a parsed body on tables.
const reachedCte = `
  WITH RECURSIVE reached (classid, objid, attnum) AS (
    SELECT 'pg_class'::regclass::oid, to_regclass($1)::oid, 0
    UNION
    SELECT d.refclassid, d.refobjid, d.refobjsubid
    FROM reached r
    LEFT JOIN pg_rewrite w ON r.classid = 'pg_class'::regclass AND w.ev_class = r.objid
    JOIN pg_depend d ON (d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid)
      OR (d.classid = 'pg_proc'::regclass AND r.classid = 'pg_proc'::regclass AND d.objid = r.objid)
    WHERE d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass)
  )`;

const readsSql = `${reachedCte}
  SELECT json_build_object('schema', n.nspname, 'name', c.relname,
           'columns', coalesce(json_agg(a.attname) FILTER (WHERE a.attname IS NOT NULL), '[]')) AS read
  FROM reached r
  JOIN pg_class c ON r.classid = 'pg_class'::regclass AND c.oid = r.objid AND c.relkind IN ('r', 'p', 'f', 'm')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = r.attnum AND r.attnum > 0
  GROUP BY n.nspname, c.relname ORDER BY 1::text`;

/** The tables behind a view. `db` may be in a transaction that has just made the view. */
export async function readsOf(db: Queryable, view: string): Promise<Read[]> {
  const rows = await textRows<{ read: string }>(db, readsSql, [view]);
  return rows.map(({ read }) => JSON.parse(read) as Read);
}

const opaqueSql = `${reachedCte}
  SELECT p.oid::regprocedure::text AS function FROM reached r
  JOIN pg_proc p ON r.classid = 'pg_proc'::regclass AND p.oid = r.objid
  WHERE p.prosqlbody IS NULL AND p.provolatile <> 'i' AND p.pronamespace <> 'pg_catalog'::regnamespace ORDER BY 1`;

const definitionsSql = `${reachedCte}
  SELECT DISTINCT c.oid::regclass::text AS view, pg_get_viewdef(c.oid) AS definition FROM reached r
  JOIN pg_class c ON r.classid = 'pg_class'::regclass AND c.oid = r.objid AND c.relkind = 'v'`;

/** Built-in functions that PostgreSQL calls stable, and that say something else in another transaction or session. */
const momentary = new Set(
  `now transaction_timestamp statement_timestamp current_setting current_user session_user user current_database
   current_date current_time current_timestamp localtime localtimestamp current_role current_catalog
   current_schema pg_current_wal_lsn txid_current inet_client_addr inet_server_addr`.split(/\s+/),
);

const volatileSql = `
  SELECT EXISTS (SELECT FROM pg_proc WHERE proname = $1)
     AND (SELECT bool_and(provolatile = 'v') FROM pg_proc WHERE proname = $1) AS volatile`;

interface Call {
  readonly name: string;
  readonly arguments: number;
}

/** The functions that a query calls. */
async function callsIn(sql: string): Promise<Call[]> {
  const calls: Call[] = [];
  const visit = (node: unknown): void => {
    // Of a list the names are its places.
    for (const [kind, value] of Object.entries(typeof node === 'object' && node !== null ? node : {})) {
      if (kind === 'FuncCall') {
        const { funcname, args } = value as { funcname: { String: { sval: string } }[]; args?: unknown[] };
        calls.push({ name: funcname.at(-1)?.String.sval ?? '', arguments: args?.length ?? 0 });
      }
      if (kind === 'SQLValueFunction') {
        const { op } = value as { op: string };
        calls.push({ name: op.replace('SVFOP_', '').replace(/_N$/, '').toLowerCase(), arguments: 0 });
      }
      visit(value);
    }
  };
  try {
    visit(await parse(sql));
  } catch (error) {
    // A newer server may print what this parser does not know; reading the view twice still tells.
    if (!hasSqlDetails(error)) throw error;
  }
  return calls;
}

/** Functions behind a view whose result is not a function of the tables. */
export async function fickleCalls(db: Queryable, view: string): Promise<string[]> {
  const found = new Set<string>();
  for (const { definition } of await textRows<{ view: string; definition: string }>(db, definitionsSql, [view])) {
    for (const call of await callsIn(definition)) {
      const byItself = momentary.has(call.name) || (call.name === 'age' && call.arguments === 1);
      const [row] = await textRows<{ volatile: string }>(db, volatileSql, [call.name]);
      if (byItself || row?.volatile === 't') found.add(`${call.name}()`);
    }
  }
  return [...found];
}

const isSame = (a: Relation, b: Relation) => a.schema === b.schema && a.name === b.name;

/**
 * The engine's own tables, of which only what the other direction has left behind is of interest and stands still, and the
 * targets, which nobody else writes while the direction is the active one. Whether what a merge writes there changes what
 * another view says is for the rehearsal to find. A table that is a source as well is written by the application.
 */
function isWrittenByEngine({ sources, targets }: Direction, read: Relation): boolean {
  const isRead = ({ relation }: { readonly relation: Relation }) => isSame(relation, read);
  return read.schema === 'lockstep' || (targets.some(isRead) && !sources.some(isRead));
}

/** Whether any view of a direction reads a table that the direction writes. */
export async function readsWhatIsWritten(db: Queryable, direction: Direction): Promise<boolean> {
  for (const { view } of direction.targets) {
    for (const read of await readsOf(db, quoteRelation(view))) {
      if (read.schema !== 'lockstep' && direction.targets.some(({ relation }) => isSame(relation, read))) return true;
    }
  }
  return false;
}

async function checkTargetReads(
  db: Queryable,
  name: DirectionName,
  direction: Direction,
  target: Target,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add = (rule: RuleName, found: string) =>
    findings.push({ rule, direction: name, subject: `target ${target.name}`, found });
  const view = quoteRelation(target.view);
  for (const read of await readsOf(db, view)) {
    if (isWrittenByEngine(direction, read)) continue;
    const source = direction.sources.find(({ relation }) => isSame(relation, read));
    if (!source) add('undeclared-source', `View ${nameOf(target.view)} reads ${nameOf(read)}, which is not a source.`);
    else if (target.scopesOf[source.name] === undefined) {
      add(
        'source-not-followed',
        `View ${nameOf(target.view)} reads ${nameOf(read)}, and scopesOf has nothing for "${source.name}".`,
      );
    }
  }
  for (const row of await textRows<{ function: string }>(db, opaqueSql, [view])) {
    add('opaque-function', `View ${nameOf(target.view)} calls ${row.function}.`);
  }
  const fickle = await fickleCalls(db, view);
  if (fickle.length > 0) add('key-not-derived', `View ${nameOf(target.view)} calls ${fickle.join(', ')}.`);
  return findings;
}

/** What the views of a direction read. */
export async function checkReads(db: Queryable, name: DirectionName, direction: Direction): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const target of direction.targets) findings.push(...(await checkTargetReads(db, name, direction, target)));
  return findings;
}

const readKey = ({ schema, name }: Relation) => `${schema}\0${name}`;

/** By table, the columns that these views use. */
export async function columnsRead(db: Queryable, views: readonly string[]): Promise<Map<string, Set<string>>> {
  const used = new Map<string, Set<string>>();
  for (const view of views) {
    for (const read of await readsOf(db, view)) {
      const columns = used.get(readKey(read)) ?? new Set();
      for (const column of read.columns) columns.add(column);
      used.set(readKey(read), columns);
    }
  }
  return used;
}

export function usesColumn(
  used: ReadonlyMap<string, ReadonlySet<string>>,
  relation: Relation,
  column: string,
): boolean {
  return used.get(readKey(relation))?.has(column) === true;
}
