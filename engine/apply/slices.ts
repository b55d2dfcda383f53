import { inLockOrder, type LockKey, rowLock } from '../locks.ts';
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
 * The rows of several messages as one set, cut into slices of at most `rowsPerSlice`. Rows of one key stay together, and
 * so do, as far as they fit, rows of one routing value: they lead to the same scopes, each of which a slice derives once.
 */
export function sliceRows(loaded: LoadedDirection, messages: readonly ChangesMessage[], rowsPerSlice: number): Slice[] {
  const slices: Slice[] = [];
  let current = new Map<LoadedSource, ChangedRow[]>();
  let count = 0;
  const sources = new Map(loaded.sources.map((source) => [source.name, source]));
  for (const [source, byKey] of collectRows(sources, messages)) {
    for (const rows of byRouting([...byKey.values()], source)) {
      if (count > 0 && count + rows.size > rowsPerSlice) {
        slices.push({ rows: current });
        current = new Map();
        count = 0;
      }
      const list = current.get(source) ?? [];
      list.push(...rows.values());
      current.set(source, list);
      count += rows.size;
    }
  }
  if (count > 0) slices.push({ rows: current });
  return slices;
}

/** Sorted by the routing values that the first row of each key carries. */
function byRouting(keys: Map<string, ChangedRow>[], source: LoadedSource): Map<string, ChangedRow>[] {
  if (source.routing.length === 0) return keys;
  return keys
    .map((rows) => {
      const [first = []] = rows.values();
      return { rows, route: first.slice(source.key.length).join('\0') };
    })
    .sort((a, b) => (a.route < b.route ? -1 : Number(a.route > b.route)))
    .map(({ rows }) => rows);
}

/** By source and by key, the different rows. */
function collectRows(
  sources: ReadonlyMap<string, LoadedSource>,
  messages: readonly ChangesMessage[],
): Map<LoadedSource, Map<string, Map<string, ChangedRow>>> {
  const collected = new Map<LoadedSource, Map<string, Map<string, ChangedRow>>>();
  for (const message of messages) {
    for (const [name, rows] of Object.entries(message.rows)) {
      const source = sources.get(name);
      if (!source) throw new RangeError(`no source "${name}"`);
      const byKey = collected.get(source) ?? new Map<string, Map<string, ChangedRow>>();
      collected.set(source, byKey);
      for (const row of rows) {
        const key = JSON.stringify(row.slice(0, source.key.length));
        const same = byKey.get(key);
        if (same) same.set(JSON.stringify(row), row);
        else byKey.set(key, new Map([[JSON.stringify(row), row]]));
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
          row.slice(0, source.key.length).map((part) => part ?? ''),
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
