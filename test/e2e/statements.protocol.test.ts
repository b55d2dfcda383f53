import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { resolveSql } from '../../engine/apply/resolve.ts';
import { scopesOfRangeSql, upperBoundSql } from '../../engine/backfill/bounds.ts';
import { conflictsSql, doomedSql, followersOf, followingSql, referringSql } from '../../engine/merge/conflicts.ts';
import { movedSql } from '../../engine/merge/moved.ts';
import { type Extent, extentOfRange, extentOfScopes } from '../../engine/merge/predicate.ts';
import { anyDifferenceSql, deleteQuery, fillSql, mergeSql } from '../../engine/merge/statements.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { type LoadedDirection, type LoadedTarget, loadDirection } from '../../engine/migration/load.ts';
import { compareSql, differencesSql } from '../../engine/validate/compare.ts';
import { migration as photomemoryMigration } from '../../sql/migration.ts';
import { migration as warehouseMigration } from '../migrations/warehouse/migration.ts';
import { type DatabaseTemplate, testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import { warehouseTemplate } from '../support/warehouse.ts';

/** What the server says against a statement; undefined when it can be prepared. */
async function refusal(client: pg.Client, sql: string): Promise<string | undefined> {
  try {
    await client.query(`PREPARE tried AS ${sql}`);
    await client.query('DEALLOCATE tried');
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function refused(client: pg.Client, statements: Readonly<Record<string, string>>): Promise<string[]> {
  const refusals: string[] = [];
  for (const [name, sql] of Object.entries(statements)) {
    const message = await refusal(client, sql);
    if (message !== undefined) refusals.push(`${name}: ${message}`);
  }
  return refusals;
}

/** Every shape of extent; ranges are prepared by their numbers of bounds, so any values do. */
function extentsOf(target: LoadedTarget): Record<string, Extent> {
  const bound = target.scope.map(() => '1');
  return {
    scopes: extentOfScopes(target, []),
    'from the start': extentOfRange(target, null, bound),
    between: extentOfRange(target, bound, bound),
    'to the end': extentOfRange(target, bound, null),
    everything: extentOfRange(target, null, null),
  };
}

function movedOf({ sources }: LoadedDirection, target: LoadedTarget): Record<string, string> {
  const keys = sources.filter(({ name }) => target.keyedBy?.includes(name));
  return Object.fromEntries(
    keys.map((source) => [`moved from ${target.name} by ${source.name}`, movedSql(target, source) ?? 'none']),
  );
}

function statementsOf(loaded: LoadedDirection): Record<string, string> {
  const statements: Record<string, string> = {};
  for (const source of loaded.sources) {
    const sql = resolveSql(loaded, source);
    if (sql !== undefined) statements[`resolve ${source.name}`] = sql;
  }
  for (const target of loaded.targets) {
    const { name } = target;
    for (const [shape, extent] of Object.entries(extentsOf(target))) {
      statements[`merge ${shape} of ${name}`] = mergeSql(target, extent);
      if (target.writes === 'rows') statements[`fill ${shape} of ${name}`] = fillSql(target, extent);
      statements[`delete ${shape} of ${name}`] = deleteQuery(target, extent, []).text;
      statements[`any difference ${shape} of ${name}`] = anyDifferenceSql(target, extent);
      statements[`compare ${shape} of ${name}`] = compareSql(target, extent);
      statements[`differences ${shape} of ${name}`] = differencesSql(target, extent);
      statements[`scopes ${shape} of ${name}`] = scopesOfRangeSql(target, extent);
    }
    Object.assign(statements, movedOf(loaded, target));
    for (const fromStart of [true, false]) {
      statements[`upper bound of ${name}, ${fromStart}`] = upperBoundSql(target, fromStart);
    }
    for (const columns of [target.key, ...target.uniques.map((unique) => unique.columns)])
      statements[`conflicts of ${name} in ${columns}`] = conflictsSql(target, columns);
    statements[`lock doomed rows of ${name}`] = doomedSql(target);
    for (const [child, key] of followersOf(loaded, target))
      statements[`${child.name} following ${name} by ${key.name}`] = followingSql(target, child, key);
    for (const child of loaded.targets) {
      for (const parent of child.parents.filter((key) => key.target === name)) {
        statements[`${child.name} referring to ${name} by ${parent.name}`] = referringSql(target, child, parent);
      }
    }
  }
  return statements;
}

const migrations: [Migration, DatabaseTemplate, number][] = [
  [photomemoryMigration, photomemory, 110],
  [warehouseMigration, warehouseTemplate, 130],
];

test.each(migrations)('every statement that is built for $name can be prepared', async (migration, template, least) => {
  await using database = await testDatabase({ template });
  const statements = statementsOf(await loadDirection(database.pool, 'forward', migration.forward));
  expect(Object.keys(statements).length).toBeGreaterThanOrEqual(least);
  expect(Object.keys(statements)).toContainEqual(expect.stringMatching(/^moved from/));
  const client = await database.client();
  expect(await refused(client, statements)).toEqual([]);
  expect(await refused(client, { wrong: 'SELECT no_such_column FROM lockstep.quarantine' })).toHaveLength(1);
});

/** Constants named …Sql of the engine's sources, as far as nothing is put into them. */
async function writtenStatements(): Promise<Record<string, string>> {
  const folder = fileURLToPath(new URL('../../engine/', import.meta.url));
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const statements: Record<string, string> = {};
  for (const file of files) {
    const source = await readFile(`${folder}${file}`, 'utf8');
    for (const [, name, , sql = ''] of source.matchAll(/^(?:export )?const (\w+Sql) =\s*(['"`])([\s\S]*?)\2;$/gm)) {
      if (!sql.includes('${')) statements[`${file}: ${name}`] = sql;
    }
  }
  return statements;
}

test('every statement that is written in the engine can be prepared', async () => {
  await using database = await testDatabase({ template: photomemory });
  const statements = await writtenStatements();
  expect(Object.keys(statements).length).toBeGreaterThanOrEqual(45);
  expect(await refused(await database.client(), statements)).toEqual([]);
});

/** Every statement of the application's side: the constants named …Sql that its modules export. */
async function applicationStatements(): Promise<Record<string, string>> {
  const folder = fileURLToPath(new URL('../../app/', import.meta.url));
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const statements: Record<string, string> = {};
  for (const file of files) {
    const exported: Record<string, unknown> = await import(`${folder}${file}`);
    for (const [name, sql] of Object.entries(exported)) {
      if (name.endsWith('Sql') && typeof sql === 'string') statements[`${file}: ${name}`] = sql;
    }
  }
  return statements;
}

test('every statement of the application can be prepared', async () => {
  await using database = await testDatabase({ template: photomemory });
  const statements = await applicationStatements();
  expect(Object.keys(statements).length).toBeGreaterThanOrEqual(60);
  expect(await refused(await database.client(), statements)).toEqual([]);
});
