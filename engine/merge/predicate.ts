import { columnList, quote } from '../identifiers.ts';
import type { LoadedTarget } from '../migration/load.ts';

/** Which scopes of a target a statement speaks of, and the parameters that it takes for them. */
export interface Extent {
  /** SQL that is true for a row of this alias when its scope is meant. */
  readonly where: (alias: string) => string;
  readonly parameters: readonly unknown[];
  /** Names the shape of `where`, for prepared statements. */
  readonly shape: string;
}

/** Exactly these scopes, each as the text of its columns. */
export function extentOfScopes(target: LoadedTarget, scopes: readonly (readonly string[])[]): Extent {
  const arrays = target.scope.map((_, column) => scopes.map((scope) => scope[column] ?? null));
  const placeholders = target.scopeTypes.map((type, column) => `$${column + 1}::${type}[]`);
  // A view that groups by the scope lets conditions on its columns through to the tables' indexes, but no list of pairs.
  const each = (alias: string) =>
    target.scope.map((column, index) => `${columnList(alias, [column])} = ANY (${placeholders[index]})`).join(' AND ');
  return {
    where: (alias) =>
      target.scope.length === 1
        ? each(alias)
        : `${each(alias)} AND (${columnList(alias, target.scope)}) IN (SELECT * FROM unnest(${placeholders.join(', ')}))`,
    parameters: arrays,
    shape: 'scopes',
  };
}

/** Every scope above `after` (from the start when null) up to and including `upTo` (to the end when null). */
export function extentOfRange(
  target: LoadedTarget,
  after: readonly string[] | null,
  upTo: readonly string[] | null,
): Extent {
  const parameters: string[] = [];
  const bound = (values: readonly string[]) =>
    values.map((value, column) => `$${parameters.push(value)}::${target.scopeTypes[column]}`).join(', ');
  const lower = after && bound(after);
  const upper = upTo && bound(upTo);
  return {
    where: (alias) => {
      const scope = `(${columnList(alias, target.scope)})`;
      const conditions = [lower && `${scope} > (${lower})`, upper && `${scope} <= (${upper})`].filter(Boolean);
      // With neither bound: rows without a scope belong to no one, and are left alone here as they are everywhere.
      return conditions.length > 0 ? conditions.join(' AND ') : `(${columnList(alias, target.scope)}) IS NOT NULL`;
    },
    parameters,
    shape: `range${lower ? 'L' : ''}${upper ? 'U' : ''}`,
  };
}

/** A list of columns as one text[], as scopes and keys travel. */
export function textArray(alias: string, columns: readonly string[]): string {
  return `ARRAY[${columns.map((column) => `${alias}.${quote(column)}::text`).join(', ')}]`;
}

/** `t."a" = e."a" AND …` */
export function equalColumns(left: string, right: string, columns: readonly string[], rightColumns = columns): string {
  return columns
    .map((column, index) => `${left}.${quote(column)} = ${right}.${quote(rightColumns[index] ?? column)}`)
    .join(' AND ');
}
