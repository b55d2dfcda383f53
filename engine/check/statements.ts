import type pg from 'pg';
import { resolveSql } from '../apply/resolve.ts';
import { upperBoundSql } from '../backfill/bounds.ts';
import { nameOf, quoteRelation } from '../identifiers.ts';
import { extentOfScopes } from '../merge/predicate.ts';
import { mergeSql } from '../merge/statements.ts';
import { beginMerge } from '../merge/transaction.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { deriveAll } from './derive.ts';
import type { Finding, RuleName } from './rules.ts';

interface Built {
  readonly subject: string;
  /** What it does, for people. */
  readonly what: string;
  readonly sql: string;
}

/** The statements that a change and a backfill run for this direction. */
function builtStatements(loaded: LoadedDirection): Built[] {
  const built: Built[] = [];
  for (const target of loaded.targets) {
    const subject = `target ${target.name}`;
    built.push({ subject, what: 'deriving a few scopes', sql: mergeSql(target, extentOfScopes(target, [])) });
    built.push({ subject, what: 'enumerating scopes (walk)', sql: upperBoundSql(target, true) });
    for (const source of loaded.sources) {
      // One target at a time, so that a mistake is put to the right one.
      const alone = { ...loaded, targets: [target] };
      const sql = resolveSql(alone, source);
      if (sql !== undefined) built.push({ subject, what: `scopesOf.${source.name}`, sql });
    }
  }
  return built;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Schema?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly PlanNode[];
}

/**
 * Readings of whole tables in a plan: sequential scans, and scans of an index without a condition that no LIMIT ends.
 *
 * @param tables `schema.name` of those that are looked for.
 */
export function wholeReadings(node: PlanNode, tables: ReadonlySet<string>, limited = false): string[] {
  const type = node['Node Type'];
  const table = `${node.Schema}.${node['Relation Name']}`;
  const throughIndex = /^Index (Only )?Scan$/.test(type) && node['Index Cond'] === undefined && !limited;
  const here = tables.has(table) && (type === 'Seq Scan' || throughIndex) ? [table] : [];
  const below = type === 'Limit' || (limited && !/Join|Nested Loop|Sort|Aggregate/.test(type));
  return [...here, ...(node.Plans ?? []).flatMap((child) => wholeReadings(child, tables, below))];
}

/** What a table is taken to hold while plans are looked at: at that size a reading of all of it shows. */
const imaginedRows = 10_000_000;

const imagineSql = `UPDATE pg_class SET reltuples = $2, relpages = 1 WHERE oid = ANY ($1::regclass[])`;

async function explain(client: pg.ClientBase, sql: string): Promise<PlanNode> {
  await client.query(`PREPARE lockstep_check AS ${sql}`);
  const { rows } = await client.query<{ count: number }>(
    `SELECT cardinality(parameter_types) AS count FROM pg_prepared_statements WHERE name = 'lockstep_check'`,
  );
  const nulls = Array.from({ length: Number(rows[0]?.count ?? 0) }, () => 'NULL').join(', ');
  const plan = await client.query<{ 'QUERY PLAN': readonly [{ Plan: PlanNode }] }>(
    `EXPLAIN (FORMAT json, VERBOSE) EXECUTE lockstep_check${nulls === '' ? '' : `(${nulls})`}`,
  );
  await client.query('DEALLOCATE lockstep_check');
  const [first] = plan.rows[0]?.['QUERY PLAN'] ?? [];
  if (!first) throw new Error('EXPLAIN answered nothing');
  return first.Plan;
}

/**
 * Prepares every statement that the engine builds for a direction, and reads its plan as if the tables were large. In a
 * transaction that is rolled back, on a scratch database whose superuser `client` is.
 *
 * @param prepare makes the rows of the sources, in that transaction.
 */
export async function checkStatements(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  prepare: () => Promise<void>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const relations = [...loaded.sources, ...loaded.targets].map(({ relation }) => relation);
  const tables = new Set<string>();
  await beginMerge(client, loaded.name, {});
  try {
    await client.query('SET LOCAL session_replication_role = replica');
    await prepare();
    await deriveAll(client, loaded);
    for (const relation of relations) {
      // An empty table is taken for empty, whatever its statistics say.
      const { rowCount } = await client.query(`SELECT FROM ${quoteRelation(relation)} LIMIT 1`);
      if (rowCount !== 0) tables.add(nameOf(relation));
    }
    await client.query(imagineSql, [relations.map(quoteRelation), imaginedRows]);
    for (const { subject, what, sql } of builtStatements(loaded)) {
      const add = (rule: RuleName, found: string) => findings.push({ rule, direction: loaded.name, subject, found });
      await client.query('SAVEPOINT tried');
      try {
        const whole = new Set(wholeReadings(await explain(client, sql), tables));
        for (const table of whole) add('no-index-path', `${what} reads all of ${table}.`);
      } catch (error) {
        await client.query('ROLLBACK TO SAVEPOINT tried');
        add('statement-refused', `${what}: ${(error as Error).message}.`);
      }
    }
  } finally {
    await client.query('ROLLBACK');
  }
  return findings;
}
