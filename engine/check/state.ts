import type pg from 'pg';
import { columnList, quote, quoteRelation } from '../identifiers.ts';
import { equalColumns } from '../merge/predicate.ts';
import { differs } from '../merge/statements.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';
import { textRows } from '../text-query.ts';
import { analyze, deriveAll, storedOtherwise } from './derive.ts';
import type { Finding, RuleName } from './rules.ts';

async function firstOf(client: pg.ClientBase, sql: string): Promise<{ count: number; first: string }> {
  const [row] = await textRows<{ count: string; first: string | null }>(
    client,
    `SELECT count(*) AS count, min(f.found) AS first FROM (${sql}) AS f (found)`,
  );
  return { count: Number(row?.count ?? 0), first: row?.first ?? '' };
}

const asText = (alias: string, columns: readonly string[]) =>
  `concat_ws(', ', ${columns.map((column) => `coalesce(${alias}.${quote(column)}::text, 'NULL')`).join(', ')})`;

async function duplicates(client: pg.ClientBase, target: LoadedTarget): Promise<string | undefined> {
  const key = columnList('v', target.key);
  const { count, first } = await firstOf(
    client,
    `SELECT ${asText('v', target.key)} FROM ${quoteRelation(target.view)} v GROUP BY ${key} HAVING count(*) > 1`,
  );
  return count > 0 ? `${count} keys occur more than once, such as (${first}).` : undefined;
}

async function unwalked(client: pg.ClientBase, target: LoadedTarget): Promise<string | undefined> {
  // As a backfill does: also through what the target holds itself.
  const places = [...target.walk, { relation: target.relation, columns: target.scope }];
  const walked = places.map(({ relation, columns }) => {
    const list = columns.map((column, index) => `w.${quote(column)}::${target.scopeTypes[index]}`).join(', ');
    return `SELECT ${list} FROM ${quoteRelation(relation)} w`;
  });
  const scope = columnList('v', target.scope);
  const { count, first } = await firstOf(
    client,
    `SELECT ${asText('v', target.scope)} FROM ${quoteRelation(target.view)} v
     WHERE (${scope}) IS NOT NULL AND (${scope}) NOT IN (SELECT * FROM (${walked.join(' UNION ALL ')}) AS w (${target.scope.map(quote).join(', ')})
       WHERE ${target.scope.map((column) => `w.${quote(column)} IS NOT NULL`).join(' AND ')})`,
  );
  return count > 0
    ? `The view has ${count} rows in scopes that walk does not enumerate, such as (${first}).`
    : undefined;
}

async function keyedByOthers(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
): Promise<string | undefined> {
  if (!target.keyedBy || target.keyedBy.length === 0 || target.scopeIsKey) return undefined;
  const present = loaded.sources
    .filter(({ name }) => target.keyedBy?.includes(name))
    .map(({ relation, key }) => {
      const same = target.key.map((column, index) => `s.${quote(key[index] ?? '')}::text = v.${quote(column)}::text`);
      return key.length === target.key.length
        ? `EXISTS (SELECT FROM ${quoteRelation(relation)} s WHERE ${same.join(' AND ')})`
        : 'false';
    });
  const { count, first } = await firstOf(
    client,
    // A row that the view only keeps, because the table holds it, is not one that a merge inserts.
    `SELECT ${asText('v', target.key)} FROM ${quoteRelation(target.view)} v WHERE NOT (${present.join(' OR ')})
       AND NOT EXISTS (SELECT FROM ${quoteRelation(target.relation)} t WHERE ${equalColumns('t', 'v', target.key)})`,
  );
  return count > 0
    ? `${count} rows of the view have a key that no row of ${target.keyedBy.join(', ')} has, such as (${first}).`
    : undefined;
}

/** What views say when they are read in other sessions and rows lie in another order. Both sides are made in temporary tables. */
async function unrepeatable(
  client: pg.ClientBase,
  loaded: LoadedDirection,
  target: LoadedTarget,
): Promise<string | undefined> {
  const view = quoteRelation(target.view);
  const names = columnList(
    'v',
    target.columns.map(({ name }) => name),
  );
  await client.query('SAVEPOINT twice');
  try {
    await client.query(`CREATE TEMPORARY TABLE lockstep_once ON COMMIT DROP AS SELECT ${names} FROM ${view} v`);
    for (const { relation, key } of loaded.sources) {
      const [column = ''] = key;
      // Half of the rows are written anew, as they are, and so come after the others.
      const table = quoteRelation(relation);
      await client.query(
        `UPDATE ${table} SET ${quote(column)} = ${quote(column)} WHERE hashtext(${quote(column)}::text) % 2 = 0`,
      );
    }
    await client.query(
      `SET LOCAL TimeZone = 'Pacific/Kiritimati'; SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL IntervalStyle = 'iso_8601';
       SET LOCAL search_path = pg_catalog; SET LOCAL bytea_output = 'escape'; SET LOCAL enable_indexscan = off;
       SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashagg = off`,
    );
    await client.query(`CREATE TEMPORARY TABLE lockstep_again ON COMMIT DROP AS SELECT ${names} FROM ${view} v`);
    await client.query(`SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'`);
    const same = equalColumns('a', 'b', target.key);
    const { count, first } = await firstOf(
      client,
      `SELECT ${asText('a', target.key)} FROM pg_temp.lockstep_once a LEFT JOIN pg_temp.lockstep_again b ON ${same}
       WHERE b.${quote(target.key[0] ?? '')} IS NULL OR ${differs(target, 'a', 'b')}`,
    );
    return count > 0 ? `${count} rows came out otherwise when the view was read again, such as (${first}).` : undefined;
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT twice');
  }
}

/**
 * What the views say of rows that are there: keys, scopes, and whether it is stored as it is said. `client` is a
 * superuser's, in a transaction that is rolled back afterwards; targets are derived in it.
 */
export async function checkState(client: pg.ClientBase, loaded: LoadedDirection): Promise<Finding[]> {
  const findings: Finding[] = [];
  await client.query('SET LOCAL session_replication_role = replica');
  for (const target of loaded.targets) {
    const add = (rule: RuleName, found: string | undefined) => {
      if (found !== undefined) findings.push({ rule, direction: loaded.name, subject: `target ${target.name}`, found });
    };
    add('key-not-unique', await duplicates(client, target));
    add('walk-incomplete', await unwalked(client, target));
    add('keyed-by', await keyedByOthers(client, loaded, target));
    add('not-repeatable', await unrepeatable(client, loaded, target));
  }
  const refused = await deriveAll(client, loaded);
  await analyze(client, loaded);
  for (const target of loaded.targets) {
    const columns = await storedOtherwise(client, target, refused);
    if (columns.length === 0) continue;
    const found = `Columns ${columns.join(', ')}.`;
    findings.push({ rule: 'not-as-stored', direction: loaded.name, subject: `target ${target.name}`, found });
  }
  return findings;
}
