import { nameOf, quote, quoteRelation } from '../identifiers.ts';
import { extentOfScopes } from '../merge/predicate.ts';
import type { Relation } from '../migration/contract.ts';
import type { LoadedTarget } from '../migration/load.ts';
import { type Queryable, textRows } from '../text-query.ts';

export interface TableSize {
  readonly name: string;
  readonly table: string;
  readonly rows: number;
  /** Whether they were counted; a large table's rows are taken from its statistics. */
  readonly counted: boolean;
  readonly bytes: number;
  /** Rows inserted, updated or deleted per day since the server's statistics were reset; null when nothing is known. */
  readonly changesPerDay: number | null;
}

/** Above this size a table is not counted. */
const largestCountedBytes = 256 * 1024 * 1024;

const sizeSql = `
  SELECT c.reltuples::bigint AS rows, pg_total_relation_size(c.oid) AS bytes, pg_relation_size(c.oid) AS heap,
         (s.n_tup_ins + s.n_tup_upd + s.n_tup_del) / nullif(extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, pg_postmaster_start_time())) / 86400, 0) AS changes
  FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
  LEFT JOIN pg_stat_database d ON d.datname = current_database()
  WHERE c.oid = $1::regclass`;

export async function readTableSize(db: Queryable, name: string, relation: Relation): Promise<TableSize> {
  const table = quoteRelation(relation);
  const [row] = await textRows<{ rows: string; bytes: string; heap: string; changes: string | null }>(db, sizeSql, [
    table,
  ]);
  const estimated = Number(row?.rows ?? -1);
  const counted = Number(row?.heap) <= largestCountedBytes || estimated < 0;
  const [count] = counted ? await textRows<{ rows: string }>(db, `SELECT count(*) AS rows FROM ${table}`) : [];
  return {
    name,
    table: nameOf(relation),
    rows: count ? Number(count.rows) : estimated,
    counted,
    bytes: Number(row?.bytes ?? 0),
    changesPerDay: row?.changes === null || row?.changes === undefined ? null : Math.round(Number(row.changes)),
  };
}

/** How fast a target's view answers, measured on scopes at several places of the walk. */
export interface Sample {
  readonly target: string;
  /** Scopes that exist, by the statistics of what the walk goes through. */
  readonly scopes: number;
  readonly sampledScopes: number;
  readonly sampledRows: number;
  readonly sampledMs: number;
}

/**
 * Derives some scopes of a target, as a chunk of the backfill would, and writes nothing.
 *
 * @param rowsOf rows of a walked relation, by its name.
 */
export async function measure(
  db: Queryable,
  target: LoadedTarget,
  rowsOf: (relation: Relation) => Promise<number>,
  sampleScopes: number,
): Promise<Sample> {
  let scopes = 0;
  for (const { relation } of target.walk) scopes += await rowsOf(relation);
  const picked: string[][] = [];
  for (const { relation, columns } of target.walk) {
    const list = columns.map((column) => `w.${quote(column)}::text`).join(', ');
    // The first that a sequential reading meets: no sorting, and no reading of the rest.
    const rows = await textRows<{ scope: string }>(
      db,
      `SELECT to_json(ARRAY[${list}]) AS scope FROM ${quoteRelation(relation)} w LIMIT ${Math.ceil(sampleScopes / target.walk.length)}`,
    );
    picked.push(...rows.map(({ scope }) => JSON.parse(scope) as string[]));
  }
  return { target: target.name, scopes, sampledScopes: picked.length, ...(await derive(db, target, picked)) };
}

async function derive(db: Queryable, target: LoadedTarget, scopes: readonly string[][]) {
  const extent = extentOfScopes(target, scopes);
  const startedAtMs = performance.now();
  const [row] = await textRows<{ rows: string }>(
    db,
    `SELECT count(*) AS rows FROM (SELECT * FROM ${quoteRelation(target.view)} v WHERE ${extent.where('v')} OFFSET 0) d`,
    extent.parameters,
  );
  return { sampledRows: Number(row?.rows ?? 0), sampledMs: performance.now() - startedAtMs };
}

/** Rows by relation, each read once. */
export function rowCounter(db: Queryable): (relation: Relation) => Promise<number> {
  const known = new Map<string, Promise<TableSize>>();
  return async (relation) => {
    const name = nameOf(relation);
    const size = known.get(name) ?? readTableSize(db, name, relation);
    known.set(name, size);
    return (await size).rows;
  };
}
