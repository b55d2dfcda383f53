import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** Something that the engine's own tables remember. */
export interface PastEvent {
  /** Tells it from every other; the same at each reading. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly kind:
    | 'slot created'
    | 'listener started'
    | 'phase change'
    | 'backfill requested'
    | 'backfill finished'
    | 'validation';
  /**
   * The epoch; the change, the phase it led to and how many milliseconds writers waited, if known, with commas; the reason of
   * the backfill; the verdict (empty: not finished).
   */
  readonly detail: string;
}

const historySql = `
  SELECT kind, id, extract(epoch FROM at) * 1000 AS at, coalesce(detail, '') AS detail FROM (
    SELECT 'slot created' AS kind, slot_name AS id, slot_created_at AS at, slot_name AS detail
      FROM lockstep.stream WHERE direction = $1
    UNION ALL
    SELECT 'listener started', epoch::text, listener_started_at, epoch::text FROM lockstep.stream WHERE direction = $1
    UNION ALL
    (SELECT 'phase change', number::text, changed_at, concat_ws(',', change, to_phase, to_jsonb(p) ->> 'pause_ms')
      FROM lockstep.phase_change p ORDER BY number DESC LIMIT $2)
    UNION ALL
    (SELECT 'backfill requested', id::text, requested_at, reason FROM lockstep.backfill WHERE direction = $1
      ORDER BY requested_at DESC LIMIT $2)
    UNION ALL
    (SELECT 'backfill finished', id::text, finished_at, reason FROM lockstep.backfill
      WHERE direction = $1 AND finished_at IS NOT NULL ORDER BY requested_at DESC LIMIT $2)
    UNION ALL
    (SELECT 'validation', id::text || coalesce(verdict, ''), coalesce(finished_at, started_at), verdict FROM lockstep.validation
      WHERE direction = $1 ORDER BY started_at DESC LIMIT $2)
  ) remembered WHERE at IS NOT NULL ORDER BY at`;

/** The last `most` of each kind, the oldest first. */
export async function readHistory(db: Queryable, direction: DirectionName, most: number): Promise<PastEvent[]> {
  type Row = { kind: PastEvent['kind']; id: string; at: string; detail: string };
  const rows = await textRows<Row>(db, historySql, [direction, most]);
  return rows.map(({ kind, id, at, detail }) => ({ id: `${direction}:${kind}:${id}`, atMs: Number(at), kind, detail }));
}
