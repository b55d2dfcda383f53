import type { BackfillMessage } from '../message/message.ts';
import { groupOfBackfill, groupOfShard } from '../message/shard.ts';
import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** An entry of the ledger that is old. */
export interface Suspect {
  readonly id: string;
  /** `changes`, or one that was sent in the group of backfills. */
  readonly kind: 'changes' | 'truncate' | 'backfill';
  readonly shard: number;
  /** Of the queue, in which its message was sent. */
  readonly group: string;
}

// A backfill that has begun shows by its progress whether its message is lost. What a backfill, entered later, will strike
// out (or, when it has not begun, may make superfluous) is no suspect. After a cutover nothing is: it is fenced off.
const suspectsSql = `
  SELECT f.id::text AS id, f.kind, f.shard::text AS shard FROM lockstep.in_flight f
  WHERE f.direction = $1 AND f.sent_at < clock_timestamp() - $2 * interval '1 millisecond'
    AND $1 = (SELECT phase FROM lockstep.phase)
    AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.id = f.id)
    AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.direction = $1 AND b.finished_at IS NULL AND b.forgets_up_to_seq >= f.seq)
    AND NOT EXISTS (SELECT FROM lockstep.in_flight w WHERE w.direction = $1 AND w.kind = 'backfill' AND w.seq > f.seq
                    AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.id = w.id))
  ORDER BY f.seq LIMIT 1000`;

/** Messages of the active direction that were entered longer than `ageMs` ago; at most the 1,000 oldest. */
export async function readSuspects(db: Queryable, direction: DirectionName, ageMs: number): Promise<Suspect[]> {
  const rows = await textRows<{ id: string; kind: Suspect['kind']; shard: string }>(db, suspectsSql, [
    direction,
    ageMs,
  ]);
  return rows.map(({ id, kind, shard }) => ({
    id,
    kind,
    shard: Number(shard),
    group: kind === 'changes' ? groupOfShard(direction, Number(shard)) : groupOfBackfill(direction),
  }));
}

/** Which of these messages are not finished. */
export async function stillEntered(db: Queryable, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const sql = 'SELECT id::text AS id FROM lockstep.in_flight WHERE id = ANY ($1::uuid[])';
  return new Set((await textRows<{ id: string }>(db, sql, [ids])).map(({ id }) => id));
}

export interface RunProgress {
  readonly id: string;
  readonly reason: BackfillMessage['reason'];
  readonly targets: readonly string[];
  /** Another text whenever the run has got further. */
  readonly mark: string;
}

const progressSql = `
  SELECT b.id::text AS id, b.reason, to_json(array_agg(t.target ORDER BY t.ordinal)) AS targets,
         string_agg(concat_ws(' ', t.cursor::text, t.scopes_done, t.doomed_left, t.finished_at), ';' ORDER BY t.ordinal) AS mark
  FROM lockstep.backfill b JOIN lockstep.in_flight f ON f.id = b.id JOIN lockstep.backfill_target t ON t.backfill_id = b.id
  WHERE b.direction = $1 AND b.finished_at IS NULL AND NOT b.paused AND $1 = (SELECT phase FROM lockstep.phase)
  GROUP BY b.id, b.reason`;

/** How far each run is that a message has begun and that has not ended; paused ones are left out. */
export async function readProgress(db: Queryable, direction: DirectionName): Promise<RunProgress[]> {
  const rows = await textRows<{ id: string; reason: string; targets: string; mark: string }>(db, progressSql, [
    direction,
  ]);
  return rows.map(({ id, reason, targets, mark }) => ({
    id,
    reason: reason as BackfillMessage['reason'],
    targets: JSON.parse(targets) as string[],
    mark,
  }));
}
