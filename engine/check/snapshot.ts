import type pg from 'pg';
import { resolveSql } from '../apply/resolve.ts';
import { readSourceFacts } from '../capture/sources.ts';
import { quote, quoteRelation } from '../identifiers.ts';
import type { LoadedDirection, LoadedSource, LoadedTarget } from '../migration/load.ts';
import { textRows } from '../text-query.ts';

/** One text for one scope of one target. */
export function scopeName(target: LoadedTarget, scope: readonly string[]): string {
  return JSON.stringify([target.name, ...scope]);
}

export function scopeOfName(name: string): string[] {
  return (JSON.parse(name) as string[]).slice(1);
}

/** By scope, what the target's view says of it. */
async function scopeContents(client: pg.ClientBase, target: LoadedTarget): Promise<Map<string, string>> {
  const columns = target.columns.map(({ name }) => `v.${quote(name)}`).join(', ');
  const scope = target.scope.map((column) => `v.${quote(column)}`);
  const rows = await textRows<{ scope: string; content: string }>(
    client,
    `SELECT to_json(ARRAY[${scope.map((column) => `${column}::text`).join(', ')}]) AS scope,
            md5(string_agg(r.row, ';' ORDER BY r.row COLLATE "C")) AS content
     FROM ${quoteRelation(target.view)} v CROSS JOIN LATERAL (SELECT ROW(${columns})::text AS row) r
     WHERE ${scope.map((column) => `${column} IS NOT NULL`).join(' AND ')} GROUP BY ${scope.join(', ')}`,
  );
  return new Map(rows.map((row) => [scopeName(target, JSON.parse(row.scope) as string[]), row.content]));
}

/** A view could not be read. */
export class ViewFailure extends Error {
  readonly target: LoadedTarget;

  constructor(target: LoadedTarget, cause: unknown) {
    super((cause as Error).message, { cause });
    this.target = target;
  }
}

/** The failure itself, to look at; anything else is thrown. */
export function viewFailure(error: unknown): ViewFailure {
  if (error instanceof ViewFailure) return error;
  throw error;
}

/** What every view of a direction says, by scope. Throws ViewFailure, which leaves the transaction in error. */
export async function viewContents(client: pg.ClientBase, loaded: LoadedDirection): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const target of loaded.targets) {
    try {
      for (const [scope, content] of await scopeContents(client, target)) all.set(scope, content);
    } catch (error) {
      throw new ViewFailure(target, error);
    }
  }
  return all;
}

/** A source's rows as events name them. */
export interface SourceRows {
  readonly source: LoadedSource;
  /** Of key and routing columns: those that the old row of an update or delete names. */
  readonly inOldRow: readonly boolean[];
  /** By key. */
  readonly rows: ReadonlyMap<string, { readonly event: (string | null)[]; readonly content: string }>;
}

/** By source, which of its key and routing columns the old row of an update or delete names. */
export type OldRows = ReadonlyMap<LoadedSource, readonly boolean[]>;

export async function oldRowsOf(client: pg.ClientBase, loaded: LoadedDirection): Promise<OldRows> {
  const all = new Map<LoadedSource, boolean[]>();
  for (const source of loaded.sources) {
    const facts = await readSourceFacts(client, source);
    const columns = [...source.key, ...source.routing];
    all.set(
      source,
      columns.map((column) => source.key.includes(column) || facts?.identityColumns.includes(column) === true),
    );
  }
  return all;
}

export async function sourceRows(client: pg.ClientBase, oldRows: OldRows): Promise<SourceRows[]> {
  const all: SourceRows[] = [];
  for (const [source, inOldRow] of oldRows) {
    const columns = [...source.key, ...source.routing];
    const rows = await textRows<{ event: string; content: string }>(
      client,
      `SELECT to_json(ARRAY[${columns.map((column) => `t.${quote(column)}::text`).join(', ')}]) AS event, md5(t::text) AS content
       FROM ${quoteRelation(source.relation)} t`,
    );
    const parsed = rows.map(({ event, content }) => ({ event: JSON.parse(event) as (string | null)[], content }));
    const byKey = new Map(parsed.map((row) => [JSON.stringify(row.event.slice(0, source.key.length)), row]));
    all.push({ source, inOldRow, rows: byKey });
  }
  return all;
}

export type Events = ReadonlyMap<LoadedSource, readonly (readonly (string | null)[])[]>;

/** The events that a transaction between two snapshots makes the listener read. */
export function eventsBetween(before: readonly SourceRows[], after: readonly SourceRows[]): Events {
  const events = new Map<LoadedSource, (string | null)[][]>();
  for (const [index, now] of after.entries()) {
    const old = before[index];
    if (!old) continue;
    const oldRow = (event: (string | null)[]) => event.map((part, place) => (now.inOldRow[place] ? part : null));
    const found: (string | null)[][] = [];
    for (const [key, row] of now.rows) {
      const known = old.rows.get(key);
      if (known?.content === row.content) continue;
      found.push(row.event);
      const identityChanged = known?.event.some((part, place) => now.inOldRow[place] && part !== row.event[place]);
      if (known && identityChanged) found.push(oldRow(known.event));
    }
    for (const [key, row] of old.rows) if (!now.rows.has(key)) found.push(oldRow(row.event));
    if (found.length > 0) events.set(now.source, found);
  }
  return events;
}

/** The scopes to which `scopesOf` leads from these events. */
export async function resolved(client: pg.ClientBase, loaded: LoadedDirection, events: Events): Promise<Set<string>> {
  const found = new Set<string>();
  for (const [source, rows] of events) {
    const text = resolveSql(loaded, source);
    if (text === undefined) continue;
    const arrays = source.types.map((_, column) => rows.map((row) => row[column] ?? null));
    const answer = await client.query<{ target: number | string; scope: string[] }>(text, arrays);
    for (const { target, scope } of answer.rows) {
      const named = loaded.targets.find(({ ordinal }) => ordinal === Number(target));
      if (named) found.add(scopeName(named, scope));
    }
  }
  return found;
}
