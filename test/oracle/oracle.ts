import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';

export interface OracleDifference {
  readonly table: string;
  /** The row's id; for `lockstep.quarantine` the scope. */
  readonly key: string;
  /** Absent when the whole row is missing on one side. */
  readonly column?: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

type Row = Record<string, unknown>;

/** The columns that the strategy's INSERT statements fill, and the column that is the scope. */
const compared: Readonly<Record<string, { scope: string; columns: readonly string[] }>> = {
  user_subscriptions: {
    scope: 'user_id',
    columns: [
      'user_id plan_id status current_period_start current_period_end',
      'stripe_subscription_id stripe_customer_id created_at updated_at',
    ].flatMap((line) => line.split(' ')),
  },
  media_files: {
    scope: 'id',
    columns: [
      'user_id original_filename file_key file_url thumbnail_url file_type mime_type file_size_bytes width height',
      'duration_seconds processing_status metadata folder_path uploaded_at created_at updated_at',
    ].flatMap((line) => line.split(' ')),
  },
  project_media: {
    scope: 'project_id',
    columns: 'project_id media_file_id display_order duration_seconds transition_type added_at'.split(' '),
  },
  generation_jobs: {
    scope: 'id',
    columns: [
      'project_id user_id job_type status progress_percentage generation_service external_job_id output_file_id',
      'actual_duration_seconds output_metadata error_message queued_at started_at completed_at failed_at',
    ].flatMap((line) => line.split(' ')),
  },
};

/**
 * Compares the normalized tables with what the strategy and the errata say they should hold, derived by SQL of its own
 * (`expected.sql`) in one snapshot. Rows of scopes that cannot be stored are not compared, but those scopes must be in
 * quarantine, and no others.
 *
 * @param client outside of a transaction; temporary tables are made and dropped.
 * @returns nothing when all agree; at most 100 rows of each table.
 */
export async function oracleDifferences(client: ClientBase): Promise<OracleDifference[]> {
  const expected = await readFile(new URL('expected.sql', import.meta.url), 'utf8');
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  try {
    await client.query(expected);
    const differences: OracleDifference[] = [];
    for (const table of Object.keys(compared)) differences.push(...(await rowDifferences(client, table)));
    differences.push(...(await quarantineDifferences(client)));
    return differences;
  } finally {
    await client.query('ROLLBACK');
  }
}

async function rowDifferences(client: ClientBase, table: string): Promise<OracleDifference[]> {
  const { scope, columns } = compared[table] ?? { scope: 'id', columns: [] };
  const row = (alias: string) =>
    `jsonb_build_object(${columns.map((column) => `'${column}', ${alias}.${column}`).join(', ')})`;
  const { rows } = await client.query<{ key: string; expected: Row | null; actual: Row | null; columns: string[] }>(
    `SELECT key, expected, actual,
            ARRAY(SELECT k FROM jsonb_object_keys(expected) k WHERE expected -> k IS DISTINCT FROM actual -> k) AS columns
     FROM (
       SELECT coalesce(e.id, a.id)::text AS key, coalesce(a.${scope}, e.${scope}) AS scope,
              CASE WHEN e.id IS NOT NULL THEN ${row('e')} END AS expected,
              CASE WHEN a.id IS NOT NULL THEN ${row('a')} END AS actual
       FROM oracle_${table} e
       FULL JOIN (
         SELECT * FROM ${table}
         WHERE ${scope} NOT IN (SELECT scope FROM oracle_refused WHERE target = '${table}' AND certain)
       ) a ON a.id = e.id
     ) AS both_sides
     WHERE expected IS DISTINCT FROM actual
       -- A row that may or may not be there is compared when it is expected.
       AND NOT EXISTS (
         SELECT FROM oracle_refused r WHERE r.target = '${table}' AND NOT r.certain AND r.scope = both_sides.scope
           AND (expected IS NULL OR r.moved OR r.target = 'user_subscriptions'))
     LIMIT 100`,
  );
  return rows.flatMap(({ key, expected, actual, columns }): OracleDifference[] => {
    if (!expected || !actual) return [{ table, key, expected, actual }];
    return columns.map((column) => ({ table, key, column, expected: expected[column], actual: actual[column] }));
  });
}

async function quarantineDifferences(client: ClientBase): Promise<OracleDifference[]> {
  const { rows } = await client.query<{ key: string; expected: boolean; actual: boolean }>(
    `SELECT coalesce(r.target, q.target) || ' ' || coalesce(r.scope::text, q.scope[1]) AS key,
            r.scope IS NOT NULL AS expected, q.scope IS NOT NULL AS actual
     FROM (SELECT DISTINCT target, scope FROM oracle_refused WHERE certain) r
     FULL JOIN (SELECT * FROM lockstep.quarantine WHERE direction = 'forward') q
       ON q.target = r.target AND q.scope = ARRAY[r.scope::text]
     WHERE (r.scope IS NULL OR q.scope IS NULL)
       AND NOT EXISTS (SELECT FROM oracle_refused m WHERE NOT m.certain AND m.target = q.target AND q.scope = ARRAY[m.scope::text])
     LIMIT 100`,
  );
  return rows.map((row) => ({ table: 'lockstep.quarantine', ...row }));
}
