import pg from 'pg';
import type { Relation } from './migration/contract.ts';

/** A name as an SQL identifier; always quoted, so that spaces, capitals and reserved words are harmless. */
export function quote(name: string): string {
  return pg.escapeIdentifier(name);
}

export function quoteRelation(relation: Relation): string {
  return `${quote(relation.schema)}.${quote(relation.name)}`;
}

/** `a."x", a."y"` for columns x and y of alias a. */
export function columnList(alias: string, columns: readonly string[]): string {
  return columns.map((column) => `${alias}.${quote(column)}`).join(', ');
}

/** A relation as people write it, for messages. */
export function nameOf(relation: Relation): string {
  return `${relation.schema}.${relation.name}`;
}
