import { LockstepError } from '../errors.ts';
import { formatLsn, type Lsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { Tenure } from './entries.ts';
import { strikeRuns } from './runs.ts';

export interface TakeOver {
  readonly direction: DirectionName;
  readonly slotName: string;
  readonly publicationName: string;
  readonly shards: number;
  /** Where the slot will begin to read: every commit whose record starts at or beyond it is read (again). */
  readonly confirmed: Lsn;
  readonly slotCreated: boolean;
}

const raiseEpochSql = `
  INSERT INTO lockstep.stream AS s (direction, slot_name, publication_name, shards, epoch, listener_started_at, listener_seen_at)
  VALUES ($1, $2, $3, $4, 1, clock_timestamp(), clock_timestamp())
  ON CONFLICT (direction) DO UPDATE SET
    slot_name = excluded.slot_name, publication_name = excluded.publication_name, shards = excluded.shards,
    epoch = s.epoch + 1,
    slot_created_at = CASE WHEN $5 THEN clock_timestamp() ELSE s.slot_created_at END,
    listener_started_at = excluded.listener_started_at, listener_seen_at = excluded.listener_seen_at
  RETURNING epoch::text AS epoch`;

// Beside what will be read again: everything, when a backfill of everything is entered that nobody has begun. The changes
// of all these messages can be seen by now (those that could not were not confirmed), so it will derive them; and with a
// new slot, nobody knows which of them were sent.
const forgetSql = `
  DELETE FROM lockstep.in_flight WHERE direction = $1 AND kind <> 'backfill'
    AND (commit_lsn >= $2::pg_lsn
         OR EXISTS (SELECT FROM lockstep.in_flight w WHERE w.direction = $1 AND w.kind = 'backfill'
                    AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.id = w.id)))
  RETURNING id::text AS id, kind`;

/**
 * Takes over from whoever listened before. To be called while this process holds the slot: raises the epoch, so that
 * nobody else can enter messages any more, then forgets the entries whose changes the slot will send again. A forgotten
 * message that was sent after all is skipped when it arrives (it has no entry), and its changes come under a new id.
 */
export async function takeOver(db: Queryable, request: TakeOver): Promise<{ tenure: Tenure; forgotten: number }> {
  const { direction, slotName, publicationName, shards, confirmed, slotCreated } = request;
  await db.query('BEGIN');
  try {
    const [raised] = await textRows<{ epoch: string }>(db, raiseEpochSql, [
      direction,
      slotName,
      publicationName,
      shards,
      slotCreated,
    ]);
    if (!raised)
      throw new LockstepError(
        'LS_LISTENER_SUPERSEDED',
        `The stream of the ${direction} direction could not be taken over.`,
      );
    // A statement of its own: its snapshot is younger than the wait for an enter() that was still under way.
    const forgotten = await textRows<{ id: string; kind: string }>(db, forgetSql, [direction, formatLsn(confirmed)]);
    // Their messages are read again too, under new ids.
    await strikeRuns(db, forgotten);
    await db.query('COMMIT');
    return { tenure: { direction, epoch: BigInt(raised.epoch) }, forgotten: forgotten.length };
  } catch (error) {
    // When the connection is gone the transaction is too; the first error is the one to tell.
    await db.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
