import { flawInSource, readSourceFacts } from '../capture/sources.ts';
import { nameOf } from '../identifiers.ts';
import { readColumns, readForeignKeys, readPrimaryKey } from '../migration/catalog.ts';
import type { Direction, DirectionName, Relation, Source, Target } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { Finding, RuleName } from './rules.ts';

const ruleOfFlaw: Readonly<Record<string, RuleName>> = {
  LS_SOURCE_MISSING: 'relation-missing',
  LS_SOURCE_KEY: 'source-key',
};

async function checkSource(db: Queryable, name: DirectionName, source: Source): Promise<Finding[]> {
  const flaw = flawInSource(source, await readSourceFacts(db, source));
  if (!flaw) return [];
  const rule = ruleOfFlaw[flaw.code] ?? 'source-unfit';
  return [{ rule, direction: name, subject: `source ${source.name}`, found: flaw.message }];
}

const requiredSql = `
  SELECT a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''`;

/** Columns that a row cannot do without. */
async function requiredColumns(db: Queryable, { schema, name }: Relation): Promise<string[]> {
  return (await textRows<{ name: string }>(db, requiredSql, [schema, name])).map((row) => row.name);
}

type Add = (rule: RuleName, found: string) => void;

async function checkTarget(
  db: Queryable,
  directionName: DirectionName,
  direction: Direction,
  target: Target,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const add: Add = (rule, found) =>
    findings.push({ rule, direction: directionName, subject: `target ${target.name}`, found });
  for (const source of [...Object.keys(target.scopesOf), ...(target.keyedBy ?? [])]) {
    if (direction.sources.some(({ name }) => name === source)) continue;
    add('declaration-invalid', `scopesOf or keyedBy names "${source}", which is not a source of this direction.`);
  }
  await checkWalk(db, target, add);
  const tableColumns = await namesOf(db, target.relation);
  const viewColumns = await namesOf(db, target.view);
  if (tableColumns.length === 0) add('relation-missing', `Table ${nameOf(target.relation)} does not exist.`);
  if (viewColumns.length === 0) add('relation-missing', `View ${nameOf(target.view)} does not exist.`);
  if (tableColumns.length === 0 || viewColumns.length === 0) return findings;
  await checkColumns(db, target, { tableColumns, viewColumns }, add);
  if (target.writes === 'rows') findings.push(...(await checkOrder(db, directionName, direction, target)));
  return findings;
}

async function namesOf(db: Queryable, relation: Relation): Promise<string[]> {
  return (await readColumns(db, relation)).map((column) => column.name);
}

async function checkWalk(db: Queryable, { walk }: Target, add: Add): Promise<void> {
  for (const { relation, columns } of walk) {
    const walked = await namesOf(db, relation);
    if (walked.length === 0) add('relation-missing', `Its walk names ${nameOf(relation)}, which does not exist.`);
    const unknown = columns.find((column) => walked.length > 0 && !walked.includes(column));
    if (unknown !== undefined)
      add('relation-missing', `Its walk names the column "${unknown}" of ${nameOf(relation)}.`);
  }
}

async function checkColumns(
  db: Queryable,
  target: Target,
  { tableColumns, viewColumns }: { tableColumns: readonly string[]; viewColumns: readonly string[] },
  add: Add,
): Promise<void> {
  const [table, view] = [nameOf(target.relation), nameOf(target.view)];
  const key = await readPrimaryKey(db, target.relation);
  if (key.length === 0) add('target-key', `Table ${table} has no primary key.`);
  for (const column of new Set([...key, ...target.scope])) {
    const role = key.includes(column) ? 'part of the primary key' : 'part of the scope';
    if (!viewColumns.includes(column)) add('target-key', `View ${view} has no column "${column}", which is ${role}.`);
  }
  for (const column of viewColumns) {
    if (tableColumns.includes(column)) continue;
    add('view-column-missing', `View ${view} has the column "${column}", and table ${table} has not.`);
  }
  const required = target.writes === 'rows' ? await requiredColumns(db, target.relation) : [];
  for (const column of required) {
    if (!viewColumns.includes(column) && !key.includes(column))
      add('required-column', `Column "${column}" of table ${table}.`);
  }
}

async function checkOrder(
  db: Queryable,
  directionName: DirectionName,
  { targets }: Direction,
  target: Target,
): Promise<Finding[]> {
  const later = targets.slice(targets.indexOf(target) + 1);
  return (await readForeignKeys(db, target.relation)).flatMap((foreignKey) => {
    const parent = later.find(
      ({ relation, writes }) =>
        writes === 'rows' && relation.schema === foreignKey.parentSchema && relation.name === foreignKey.parentName,
    );
    if (!parent) return [];
    const found = `It refers to "${parent.name}" (${foreignKey.name}) and is declared before it.`;
    return [{ rule: 'target-order', direction: directionName, subject: `target ${target.name}`, found }];
  });
}

/** What a declaration and the catalogs say of each other, without reading a row. */
export async function checkDeclaration(db: Queryable, name: DirectionName, direction: Direction): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const source of direction.sources) findings.push(...(await checkSource(db, name, source)));
  for (const target of direction.targets) findings.push(...(await checkTarget(db, name, direction, target)));
  return findings;
}
