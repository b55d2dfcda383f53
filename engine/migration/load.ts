import type pg from 'pg';
import { LockstepError } from '../errors.ts';
import { nameOf } from '../identifiers.ts';
import {
  type CatalogColumn,
  type CatalogUnique,
  isReferenced,
  readColumns,
  readForeignKeys,
  readPrimaryKey,
  readUniques,
} from './catalog.ts';
import type { Checks, Direction, DirectionName, Relation, Source, Target } from './contract.ts';

type Queryable = Pick<pg.Pool, 'query'>;

export interface LoadedSource extends Source {
  /** Types of the key columns, then of the routing columns. */
  readonly types: readonly string[];
  /** Of the key columns. */
  readonly keyLockedBy: readonly CatalogColumn['lockedBy'][];
}

/** A foreign key of a target: its rows cannot be written while the row they refer to is not there. */
export interface ParentKey {
  readonly name: string;
  /** The target that the parent table is, if it is one; then merging it may bring the parent. */
  readonly target: string | undefined;
  readonly relation: Relation;
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  /** Whether the referenced columns are the parent's scope, so that the values lead to the scopes to merge. */
  readonly namesScope: boolean;
}

/** A foreign key by which rows of a target go, or change, when the server deletes a row of a target that they refer to. */
export interface FollowedKey {
  readonly name: string;
  readonly relation: Relation;
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly rowsGo: boolean;
}

export interface LoadedTarget extends Target {
  /** Position in dependency order. */
  readonly ordinal: number;
  readonly key: readonly string[];
  readonly keyTypes: readonly string[];
  readonly scopeTypes: readonly string[];
  readonly scopeLockedBy: readonly CatalogColumn['lockedBy'][];
  /** The view's columns: what is derived. Other columns of the table are never touched. */
  readonly columns: readonly CatalogColumn[];
  /** When the scope is the key, a row can never be found under another scope. */
  readonly scopeIsKey: boolean;
  /** Whether other tables reference this one: then its rows must never be deleted and inserted again. */
  readonly referenced: boolean;
  readonly parents: readonly ParentKey[];
  /** Whatever the view says of their columns, and also those to the target itself. */
  readonly follows: readonly FollowedKey[];
  /** Only those that do not contain the scope: two scopes can be in each other's way. */
  readonly uniques: readonly CatalogUnique[];
}

export interface LoadedDirection {
  readonly name: DirectionName;
  readonly sources: readonly LoadedSource[];
  readonly targets: readonly LoadedTarget[];
  readonly checks: Checks;
}

function invalid(message: string): LockstepError {
  return new LockstepError('LS_MIGRATION_INVALID', message);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function sameRelation(a: Relation, b: Relation): boolean {
  return a.schema === b.schema && a.name === b.name;
}

function columnsNamed(columns: readonly CatalogColumn[], names: readonly string[], where: string): CatalogColumn[] {
  return names.map((name) => {
    const column = columns.find((candidate) => candidate.name === name);
    if (!column) throw invalid(`${where} has no column "${name}", which the migration names.`);
    return column;
  });
}

function typesOf(columns: readonly CatalogColumn[], names: readonly string[], where: string): string[] {
  return columnsNamed(columns, names, where).map(({ type }) => type);
}

function locksOf(
  columns: readonly CatalogColumn[],
  names: readonly string[],
  where: string,
): CatalogColumn['lockedBy'][] {
  return columnsNamed(columns, names, where).map(({ lockedBy }) => lockedBy);
}

async function loadSource(db: Queryable, source: Source): Promise<LoadedSource> {
  const where = `Source table ${nameOf(source.relation)}`;
  const columns = await readColumns(db, source.relation);
  if (columns.length === 0) throw invalid(`${where} does not exist in this database.`);
  const primaryKey = await readPrimaryKey(db, source.relation);
  if (primaryKey.length === 0) {
    throw invalid(`${where} has no primary key; without one an event cannot name its row. Add a primary key.`);
  }
  if (!sameList(primaryKey, source.key)) {
    throw invalid(
      `${where} has the primary key (${primaryKey.join(', ')}), but the migration declares (${source.key.join(', ')}).`,
    );
  }
  return {
    ...source,
    types: typesOf(columns, [...source.key, ...source.routing], where),
    keyLockedBy: locksOf(columns, source.key, where),
  };
}

async function loadTarget(db: Queryable, target: Target, ordinal: number, direction: Direction): Promise<LoadedTarget> {
  const where = `Target table ${nameOf(target.relation)}`;
  const tableColumns = await readColumns(db, target.relation);
  const viewColumns = await readColumns(db, target.view);
  if (tableColumns.length === 0)
    throw invalid(`${where} does not exist in this database. Run "lockstep migrate" first.`);
  if (viewColumns.length === 0)
    throw invalid(
      `View ${nameOf(target.view)} of target "${target.name}" does not exist in this database. Run "lockstep migrate" first.`,
    );
  const key = await readPrimaryKey(db, target.relation);
  if (key.length === 0)
    throw invalid(`${where} has no primary key. Add one; its values must be derived from the source rows' keys.`);
  const viewNames = viewColumns.map((column) => column.name);
  typesOf(viewColumns, [...key, ...target.scope], `View ${nameOf(target.view)}`);
  typesOf(tableColumns, viewNames, where);
  for (const source of [...Object.keys(target.scopesOf), ...(target.keyedBy ?? [])]) {
    if (!direction.sources.some((candidate) => candidate.name === source)) {
      throw invalid(
        `Target "${target.name}" has scopesOf or keyedBy for "${source}", which is not a source of this direction.`,
      );
    }
  }
  const foreignKeys = await readForeignKeys(db, target.relation);
  const parents = foreignKeys.flatMap((foreignKey): ParentKey[] => {
    const relation: Relation = { schema: foreignKey.parentSchema, name: foreignKey.parentName };
    // Rows of one table that refer to each other are written by one statement, and checked at its end.
    if (sameRelation(relation, target.relation)) return [];
    if (!foreignKey.columns.every((column) => viewNames.includes(column))) return [];
    const parent = direction.targets.find(
      (candidate) => candidate.writes === 'rows' && sameRelation(candidate.relation, relation),
    );
    if (parent && direction.targets.indexOf(parent) > ordinal) {
      throw invalid(
        `Target "${target.name}" references "${parent.name}" (${foreignKey.name}) and must be declared after it.`,
      );
    }
    return [
      {
        name: foreignKey.name,
        target: parent?.name,
        relation,
        columns: foreignKey.columns,
        parentColumns: foreignKey.parentColumns,
        namesScope: parent !== undefined && sameList(parent.scope, foreignKey.parentColumns),
      },
    ];
  });
  return {
    ...target,
    ordinal,
    key,
    keyTypes: typesOf(tableColumns, key, where),
    scopeTypes: typesOf(tableColumns, target.scope, where),
    scopeLockedBy: locksOf(tableColumns, target.scope, where),
    columns: viewNames.map((name) => tableColumns.find((column) => column.name === name) as CatalogColumn),
    scopeIsKey: sameList([...key].sort(), [...target.scope].sort()),
    referenced: await isReferenced(db, target.relation),
    parents: target.writes === 'rows' ? parents : [],
    follows: foreignKeys.flatMap(({ name, columns, parentColumns, parentSchema, parentName, onDelete }) =>
      onDelete === 'forbids'
        ? []
        : [
            {
              name,
              relation: { schema: parentSchema, name: parentName },
              columns,
              parentColumns,
              rowsGo: onDelete === 'goes',
            },
          ],
    ),
    uniques: (await readUniques(db, target.relation)).filter(
      (unique) =>
        unique.columns.every((column) => viewNames.includes(column)) &&
        !target.scope.every((column) => unique.columns.includes(column)),
    ),
  };
}

/**
 * Completes what a migration declares with what the database's catalogs say (types, keys, foreign keys).
 *
 * @throws LockstepError LS_MIGRATION_INVALID when the two do not fit, naming the table and the column.
 */
export async function loadDirection(
  db: Queryable,
  name: DirectionName,
  direction: Direction,
): Promise<LoadedDirection> {
  const sources: LoadedSource[] = [];
  for (const source of direction.sources) sources.push(await loadSource(db, source));
  const targets: LoadedTarget[] = [];
  for (const [ordinal, target] of direction.targets.entries())
    targets.push(await loadTarget(db, target, ordinal, direction));
  return { name, sources, targets, checks: direction.checks ?? {} };
}
