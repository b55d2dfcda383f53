import { type Queryable, textRows } from '../text-query.ts';

const strikeRunsSql = `
  DELETE FROM lockstep.backfill WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL`;

/**
 * Strikes out the runs of messages that were struck out of the ledger unfinished: nobody would go on with them, and a
 * change of the direction would wait for them. To be called in the same transaction, as a statement of its own: it sees
 * the run that someone has entered while the ledger's entry was waited for (`holdEntry`).
 */
export async function strikeRuns(
  db: Queryable,
  struck: readonly { readonly id: string; readonly kind: string }[],
): Promise<void> {
  const ids = struck.filter(({ kind }) => kind !== 'changes').map(({ id }) => id);
  if (ids.length > 0) await textRows(db, strikeRunsSql, [ids]);
}
