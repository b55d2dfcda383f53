import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { strikeRuns } from './runs.ts';

// One that nobody has begun may have been sent for an earlier slot: begun a moment before the new slot exists, it would
// miss what changes in between. Without its entry the message is skipped.
const dropSql = `
  DELETE FROM lockstep.in_flight f WHERE f.direction = $1 AND f.kind = 'backfill'
    AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.id = f.id)
  RETURNING f.id::text AS id, f.kind`;
// Below every position: what committed while there was no slot (or the one before was lost) is in no message, so until
// this backfill has ended nothing that committed at any time counts as applied.
const wishSql = `
  INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
  VALUES ($1, $2, 'backfill', 0, '0/0', clock_timestamp(), 0)`;

/**
 * Enters a backfill of everything, in place of one that has not begun. To be called before the slot is made, so that no
 * crash can leave a slot without a backfill.
 */
export async function wishForBackfill(db: Queryable, direction: DirectionName, id: string): Promise<void> {
  await db.query('BEGIN');
  // One that somebody begins at this moment is struck out with its entry.
  await strikeRuns(db, await textRows<{ id: string; kind: string }>(db, dropSql, [direction]));
  await db.query(wishSql, [id, direction]);
  await db.query('COMMIT');
}

const everSql = `
  SELECT EXISTS (SELECT FROM lockstep.backfill WHERE direction = $1)
      OR EXISTS (SELECT FROM lockstep.in_flight WHERE direction = $1 AND kind = 'backfill') AS ever`;

/** Whether a backfill of this direction has ever been entered or begun. */
export async function everBackfilled(db: Queryable, direction: DirectionName): Promise<boolean> {
  const [row] = await textRows<{ ever: string }>(db, everSql, [direction]);
  return row?.ever === 't';
}

const notBegunSql = `
  SELECT f.id::text AS id, EXISTS (SELECT FROM lockstep.backfill b WHERE b.direction = $1) AS again FROM lockstep.in_flight f
  WHERE f.direction = $1 AND f.kind = 'backfill' AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.id = f.id)
  ORDER BY f.seq`;

export interface NotBegun {
  readonly id: string;
  /** Not the first backfill of this direction: its slot was lost. */
  readonly again: boolean;
}

/** Backfills that are entered but that nobody has begun: their messages may never have been sent. */
export async function backfillsNotBegun(db: Queryable, direction: DirectionName): Promise<NotBegun[]> {
  const rows = await textRows<{ id: string; again: string }>(db, notBegunSql, [direction]);
  return rows.map(({ id, again }) => ({ id, again: again === 't' }));
}
