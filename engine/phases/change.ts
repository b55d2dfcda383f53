import { LockstepError } from '../errors.ts';
import { directionLock, inLockOrder } from '../locks.ts';
import { type Lsn, parseLsn } from '../lsn.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { phaseMessagePrefix } from './announcement.ts';
import { type Phase, type PhaseChange, phaseAfter, refusalOf } from './transitions.ts';

export interface PhaseChanged {
  readonly from: Phase;
  readonly to: Phase;
  /** Of the announcement; the commit follows it. */
  readonly announcedLsn: Lsn;
}

const fenceSql = 'SELECT count(pg_advisory_xact_lock(k)) FROM unnest($1::bigint[]) AS k';
const currentSql = 'SELECT phase FROM lockstep.phase FOR UPDATE';
const changeSql = `
  UPDATE lockstep.phase SET phase = $2, changed_at = clock_timestamp() WHERE phase = $1`;
const announceSql = `
  INSERT INTO lockstep.phase_change (change, from_phase, to_phase, announced_lsn)
  SELECT $1::text, $2::text, $3::text,
         pg_logical_emit_message(true, $4, json_build_object('change', $1::text, 'from', $2::text, 'to', $3::text)::text)
  RETURNING announced_lsn::text AS announced`;

/**
 * Keeps merges of both directions out until the transaction ends: those that are under way end first, and those that come
 * later read the phase after it. To be called before the phase is changed, as late as possible.
 *
 * @throws the server's error 55P03 when the transaction's lock_timeout is up first.
 */
async function takeFence(client: Queryable): Promise<void> {
  const locks = inLockOrder([directionLock('forward'), directionLock('reverse')]);
  await client.query(fenceSql, [locks.map(String)]);
}

/**
 * Changes the phase within the caller's transaction (READ COMMITTED): takes the fence, compares and sets, and announces
 * it in the WAL, so that both streams turn at exactly that commit.
 *
 * @throws LockstepError LS_PHASE_REFUSED when `change` is not allowed from the phase that the database is in.
 * @throws LockstepError LS_NOT_MIGRATED
 */
export async function changePhase(client: Queryable, change: PhaseChange): Promise<PhaseChanged> {
  await takeFence(client);
  // A statement of its own: its snapshot is younger than the wait for the fence.
  const [current] = await textRows<{ phase: Phase }>(client, currentSql);
  if (!current) throw new LockstepError('LS_NOT_MIGRATED', 'The schema lockstep is not in this database.');
  const from = current.phase;
  const to = phaseAfter(from, change);
  if (to === undefined) throw new LockstepError('LS_PHASE_REFUSED', refusalOf(from, change));
  await client.query(changeSql, [from, to]);
  const [row] = await textRows<{ announced: string }>(client, announceSql, [change, from, to, phaseMessagePrefix]);
  return { from, to, announcedLsn: parseLsn(row?.announced ?? '') };
}
