import { type Lsn, parseLsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { Phase } from './transitions.ts';

/** A change of the phase, as far as its place in the WAL is known. */
export interface PlacedChange {
  readonly from: Phase;
  /** Its commit is above this. */
  readonly announcedLsn: Lsn;
  /** Its commit is below this; undefined: nobody has noted it yet. */
  readonly settledLsn: Lsn | undefined;
}

/**
 * The phases that a stream may be in which begins at `position`: what the database was in after every commit below it.
 * There is one, unless the position is about as high as a change's commit; then there are two.
 *
 * @param changes in order.
 */
export function phasesAt(position: Lsn, changes: readonly PlacedChange[], now: Phase): Phase[] {
  const ahead = changes.find(({ announcedLsn }) => announcedLsn >= position);
  const phase = ahead?.from ?? now;
  const before = changes.findLast(({ announcedLsn }) => announcedLsn < position);
  const mayBeAhead = before && (before.settledLsn === undefined || before.settledLsn > position);
  return mayBeAhead ? [before.from, phase] : [phase];
}

const settleSql = `
  UPDATE lockstep.phase_change SET settled_lsn = pg_current_wal_insert_lsn() WHERE settled_lsn IS NULL`;

/** Notes of every change that can be seen that the WAL is beyond its commit. Repeating it changes nothing. */
export async function settleChanges(db: Queryable): Promise<void> {
  await db.query(settleSql);
}

const changesSql = `
  SELECT p.phase, c.from_phase AS "from", c.announced_lsn AS announced, c.settled_lsn AS settled
  FROM lockstep.phase p LEFT JOIN lockstep.phase_change c ON true ORDER BY c.number`;

/** Whether a stream of this direction that begins at `position` may begin in a time in which it is the active one. */
export async function mayBeActiveAt(db: Queryable, direction: DirectionName, position: Lsn): Promise<boolean> {
  const rows = await textRows<{ phase: Phase; from: Phase | null; announced: string | null; settled: string | null }>(
    db,
    changesSql,
  );
  const changes = rows.flatMap(({ from, announced, settled }) =>
    from === null || announced === null
      ? []
      : [{ from, announcedLsn: parseLsn(announced), settledLsn: settled === null ? undefined : parseLsn(settled) }],
  );
  return phasesAt(position, changes, rows[0]?.phase ?? 'forward').includes(direction);
}
