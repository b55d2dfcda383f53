import type pg from 'pg';
import type { LoadedTarget } from '../migration/load.ts';
import type { Difference } from './compare.ts';
import { whyDrift, whyQuarantined } from './reasons.ts';
import type { Run } from './run.ts';

/** A row that was moved is seen twice, as different where it belongs and as extra where it is: the first says it all. */
const driftSql = `
  INSERT INTO lockstep.drift AS d
    (direction, target, key, kind, scope, found_in_scope, quarantined, columns, reason, validation_id)
  SELECT $1, $2, ARRAY(SELECT json_array_elements_text(r.key)), r.kind, ARRAY(SELECT json_array_elements_text(r.scope)),
         CASE WHEN r."foundInScope" IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(r."foundInScope")) END,
         r.quarantined, r.columns, CASE WHEN r.quarantined THEN $4 ELSE $5 END, $3
  FROM json_to_recordset($6::json)
    AS r (key json, kind text, scope json, "foundInScope" json, quarantined boolean, columns json)
  ON CONFLICT (direction, target, key) DO UPDATE
  SET kind = excluded.kind, scope = excluded.scope, found_in_scope = excluded.found_in_scope, quarantined = excluded.quarantined,
      columns = excluded.columns, reason = excluded.reason, validation_id = excluded.validation_id,
      first_seen_at = CASE WHEN d.ended_at IS NULL THEN d.first_seen_at ELSE excluded.first_seen_at END,
      last_seen_at = excluded.last_seen_at, ended_at = NULL, ended_by = NULL
  WHERE NOT (d.validation_id = excluded.validation_id AND d.kind = 'different' AND excluded.kind = 'extra')`;

/** Kept in full for so many rows of one stretch; of more, the keys only. */
const rowsWithColumns = 1_000;

/** Enters rows on which view and target do not agree, in the caller's transaction. */
export async function recordDifferences(
  client: pg.ClientBase,
  run: Run,
  target: LoadedTarget,
  differences: readonly Difference[],
): Promise<void> {
  if (differences.length === 0) return;
  const kept = differences.map((difference, index) =>
    index < rowsWithColumns ? difference : { ...difference, columns: {} },
  );
  // Extra rows first, so that no statement meets one key twice.
  for (const half of [kept.filter(({ kind }) => kind === 'extra'), kept.filter(({ kind }) => kind !== 'extra')]) {
    await client.query(driftSql, [run.direction, target.name, run.id, whyQuarantined, whyDrift, JSON.stringify(half)]);
  }
}
