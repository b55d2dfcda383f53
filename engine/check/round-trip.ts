import type pg from 'pg';
import { nameOf, quote, quoteRelation } from '../identifiers.ts';
import { equalColumns } from '../merge/predicate.ts';
import { differs } from '../merge/statements.ts';
import type { Migration } from '../migration/contract.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { randomFrom } from '../random.ts';
import { textRows } from '../text-query.ts';
import { analyze, attempt, deriveAll } from './derive.ts';
import { mutationOf } from './mutation.ts';
import { columnsRead, usesColumn } from './reads.ts';
import type { Finding } from './rules.ts';
import { readTables } from './values.ts';

export interface BothWays {
  readonly migration: Migration;
  readonly forward: LoadedDirection;
  readonly reverse: LoadedDirection;
}

const writableSql = `
  SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`;

/** Normalized columns that neither a reverse view reads nor `losses` speaks of. `client` is in a transaction. */
export async function checkUnreadColumns(client: pg.ClientBase, both: BothWays): Promise<Finding[]> {
  const { migration, forward, reverse } = both;
  const views = reverse.targets.map(({ view }) => quoteRelation(view));
  const losses = migration.reverse?.losses;
  await client.query('SAVEPOINT unread');
  if (losses !== undefined) await client.query(`CREATE TEMPORARY VIEW lockstep_losses AS ${losses}`);
  const used = await columnsRead(client, losses === undefined ? views : [...views, 'pg_temp.lockstep_losses']);
  await client.query('ROLLBACK TO SAVEPOINT unread');
  const findings: Finding[] = [];
  for (const target of forward.targets) {
    const { schema, name } = target.relation;
    const columns =
      target.writes === 'rows' ? await textRows<{ name: string }>(client, writableSql, [schema, name]) : target.columns;
    const unread = columns.map((column) => column.name).filter((column) => !usesColumn(used, target.relation, column));
    if (unread.length === 0) continue;
    const found = `Of table ${nameOf(target.relation)}: ${unread.join(', ')}.`;
    findings.push({ rule: 'reverse-unread-column', direction: 'reverse', subject: `target ${target.name}`, found });
  }
  return findings;
}

/** Rows of a normalized table that do not come back, by key as JSON. */
async function changedRows(client: pg.ClientBase, target: LoadedTarget): Promise<{ key: string; how: string }[]> {
  const first = quote(target.key[0] ?? '');
  const key = target.key.map((column) => `coalesce(t.${quote(column)}, v.${quote(column)})::text`).join(', ');
  const join = `${quoteRelation(target.relation)} t ${target.writes === 'rows' ? 'FULL' : 'RIGHT'} JOIN ${quoteRelation(target.view)} v ON ${equalColumns('t', 'v', target.key)}`;
  return await textRows<{ key: string; how: string }>(
    client,
    `SELECT to_json(ARRAY[${key}])::text AS key,
            CASE WHEN v.${first} IS NULL THEN 'is gone' WHEN t.${first} IS NULL THEN 'appears' ELSE 'is changed' END AS how
     FROM ${join} WHERE t.${first} IS NULL OR v.${first} IS NULL OR ${differs(target, 't', 'v')} LIMIT 500`,
  );
}

/** Names of the targets that lose something, and `[name, key]` as JSON of each row. */
async function declaredLosses(client: pg.ClientBase, losses: string | undefined): Promise<Set<string>> {
  if (losses === undefined) return new Set();
  const rows = await textRows<{ loss: string }>(
    client,
    `SELECT json_build_array(l.target, l.key::text[])::text AS loss FROM (${losses}) l`,
  );
  return new Set(
    rows.flatMap(({ loss }) => {
      const [target, key] = JSON.parse(loss) as [string, string[]];
      return [target, JSON.stringify([target, key])];
    }),
  );
}

/** The first normalized row that does not survive the way to legacy and back, and is not declared as a loss. */
async function firstUndeclared(client: pg.ClientBase, { migration, forward }: BothWays): Promise<Finding | undefined> {
  const losses = await declaredLosses(client, migration.reverse?.losses);
  for (const target of forward.targets) {
    for (const { key, how } of await changedRows(client, target)) {
      const parsed = JSON.parse(key) as string[];
      // A row that is lost under its key can come back under another.
      const excused =
        how === 'appears'
          ? [...losses].some((loss) => loss.startsWith(JSON.stringify([target.name]).slice(0, -1)))
          : losses.has(JSON.stringify([target.name, parsed]));
      if (excused) continue;
      const found = `The row (${parsed.join(', ')}) of ${nameOf(target.relation)} ${how} after it went to legacy and back.`;
      return { rule: 'reverse-differs', direction: 'reverse', subject: `target ${target.name}`, found };
    }
  }
  return undefined;
}

/**
 * Takes the normalized rows to legacy by the reverse views and forward again: as they were derived, and after random
 * changes that the normalized schema allows. `client` is a superuser's, in a transaction that is rolled back afterwards.
 */
export async function checkRoundTrip(
  client: pg.ClientBase,
  both: BothWays,
  { transactions, seed }: { transactions: number; seed: number },
): Promise<Finding[]> {
  const random = randomFrom(seed);
  await client.query('SET LOCAL session_replication_role = replica');
  await deriveAll(client, both.forward);
  await deriveAll(client, both.reverse);
  await analyze(client, both.forward);
  await analyze(client, both.reverse);
  const tables = await readTables(client, both.reverse);
  for (let left = transactions; left >= 0; left--) {
    const found = await firstUndeclared(client, both);
    if (found) return [found];
    await client.query('SAVEPOINT change');
    const { sql, values, what } = mutationOf(random.pick(tables), random);
    await client.query('SET LOCAL session_replication_role = origin; SET CONSTRAINTS ALL IMMEDIATE');
    const refusal = await attempt(client, async () => void (await client.query(sql, [...values])));
    await client.query('SET LOCAL session_replication_role = replica');
    if (refusal !== undefined) continue;
    const refused = await deriveAll(client, both.reverse);
    // What legacy refuses is quarantined, and so not lost in silence.
    if (refused.size > 0) await client.query('ROLLBACK TO SAVEPOINT change');
    else {
      const differing = await firstUndeclared(client, both);
      if (differing) return [{ ...differing, found: `${differing.found} Before, ${what}.` }];
    }
  }
  return [];
}
