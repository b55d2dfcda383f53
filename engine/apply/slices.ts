import { inLockOrder, type LockKey, lockName, rowLock } from '../locks.ts';
import type { ChangedRow, ChangesMessage } from '../message/message.ts';
import type { LoadedDirection, LoadedSource } from '../migration/load.ts';
import { keyIdentity } from './batch.ts';

/** Rows that one transaction handles. */
export interface Slice {
  readonly rows: ReadonlyMap<LoadedSource, readonly ChangedRow[]>;
}

/** Why this migration cannot read a message, if it cannot: it was written for another one, or another version of it. */
export function misfit(loaded: LoadedDirection, message: ChangesMessage): string | undefined {
  for (const [name, rows] of Object.entries(message.rows)) {
    const source = loaded.sources.find((candidate) => candidate.name === name);
    if (!source)
      return `it names the source "${name}", which the ${loaded.name} direction of this migration does not have`;
    const arity = source.types.length;
    const odd = rows.find((row) => row.length !== arity || row.slice(0, source.key.length).includes(null));
    if (odd)
      return `a row of source "${name}" has ${odd.length} values, or a NULL key; this migration expects ${arity} (key and routing columns)`;
  }
  return undefined;
}

/**
 * The rows of several messages as one set, cut into slices of at most `rowsPerSlice`. Rows of one key stay together. So
 * do rows of one routing value, unless they are more than a slice: they lead to the same scopes, each of which a slice
 * derives once; and a scope whose rows were in two slices would be merged again for each row that came without its lock.
 */
export function sliceRows(loaded: LoadedDirection, messages: readonly ChangesMessage[], rowsPerSlice: number): Slice[] {
  const slices: Slice[] = [];
  let current = new Map<LoadedSource, ChangedRow[]>();
  let count = 0;
  const cut = () => {
    if (count > 0) slices.push({ rows: current });
    current = new Map();
    count = 0;
  };
  const sources = new Map(loaded.sources.map((source) => [source.name, source]));
  for (const [source, byKey] of collectRows(sources, messages)) {
    for (const route of byRouting(byKey.values(), source)) {
      if (count + sizeOf(route) > rowsPerSlice) cut();
      for (const rows of route) {
        if (count + rows.length > rowsPerSlice) cut();
        const list = current.get(source) ?? [];
        list.push(...rows);
        current.set(source, list);
        count += rows.length;
      }
    }
  }
  cut();
  return slices;
}

/** Different rows of one key: nearly always one, and more when its routing values changed. */
type RowsOfKey = ChangedRow[];

function sizeOf(route: readonly RowsOfKey[]): number {
  return route.reduce((sum, rows) => sum + rows.length, 0);
}

/** The keys whose first row carries the same routing values, together. */
function byRouting(keys: Iterable<RowsOfKey>, source: LoadedSource): Iterable<readonly RowsOfKey[]> {
  if (source.routing.length === 0) return Array.from(keys, (rows) => [rows]);
  return Map.groupBy(keys, ([first = []]) => first.slice(source.key.length).join('\0')).values();
}

/** By source and by key, the different rows. */
function collectRows(
  sources: ReadonlyMap<string, LoadedSource>,
  messages: readonly ChangesMessage[],
): Map<LoadedSource, Map<string, RowsOfKey>> {
  const collected = new Map<LoadedSource, Map<string, RowsOfKey>>();
  for (const message of messages) {
    for (const [name, rows] of Object.entries(message.rows)) {
      const source = sources.get(name);
      if (!source) throw new RangeError(`no source "${name}"`);
      const byKey = collected.get(source) ?? new Map<string, RowsOfKey>();
      collected.set(source, byKey);
      for (const row of rows) {
        const key = keyIdentity(row.slice(0, source.key.length));
        const same = byKey.get(key);
        if (!same) byKey.set(key, [row]);
        else if (!same.some((other) => row.every((value, column) => value === other[column]))) same.push(row);
      }
    }
  }
  return collected;
}

/** Step 2 of the protocol: the locks of a slice's rows. */
export function rowLocks(loaded: LoadedDirection, slice: Slice): LockKey[] {
  const keys: LockKey[] = [];
  for (const [source, rows] of slice.rows) {
    for (const row of rows)
      keys.push(
        rowLock(
          loaded.name,
          source.name,
          source.keyLockedBy.map((by, column) => lockName(row[column] ?? '', by)),
        ),
      );
  }
  return inLockOrder(keys);
}

/** The keys of a slice's rows, by source name. */
export function handledKeys(slice: Slice): Map<string, Set<string>> {
  return new Map(
    [...slice.rows].map(([source, rows]) => [
      source.name,
      new Set(rows.map((row) => keyIdentity(row.slice(0, source.key.length)))),
    ]),
  );
}
