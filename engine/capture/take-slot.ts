import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { LockstepError } from '../errors.ts';
import { everBackfilled, wishForBackfill } from '../ledger/first-start.ts';
import { slotLock } from '../locks.ts';
import type { Direction, DirectionName, Source } from '../migration/contract.ts';
import { sqlState } from '../sqlstate.ts';
import { readPhase } from '../status/phase.ts';
import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';
import { openReplicationConnection } from './connection.ts';
import { publicationName, slotName } from './names.ts';
import { checkPublication } from './publication.ts';
import { flawInServer, readServer } from './server.ts';
import { confirmedPosition, flawInSlot, isLost, readSlot, type SlotFacts } from './slot.ts';
import { createSlot } from './slot-creation.ts';
import { checkSources } from './sources.ts';
import { ReplicationStream, type StreamOptions } from './stream.ts';

export interface Preflight {
  readonly slotName: string;
  readonly publicationName: string;
  readonly database: string;
  readonly sourcesByOid: ReadonlyMap<number, Source>;
}

/**
 * Whether this direction can be captured here. Reads catalogs only.
 *
 * @throws LockstepError LS_SERVER_VERSION, LS_READ_REPLICA, LS_WAL_LEVEL, LS_SOURCE_…, LS_PUBLICATION_… or LS_SLOT_FOREIGN.
 */
export async function preflight(
  db: pg.ClientBase,
  directionName: DirectionName,
  direction: Direction,
): Promise<Preflight> {
  const server = await readServer(db);
  const flaw = flawInServer(server);
  if (flaw) throw flaw;
  const sourcesByOid = await checkSources(db, direction.sources);
  await checkPublication(db, directionName, direction);
  const name = slotName(directionName, server.database);
  const slot = await readSlot(db, name);
  const slotFlaw = slot && flawInSlot(name, server.database, slot);
  if (slotFlaw) throw slotFlaw;
  return { slotName: name, publicationName: publicationName(directionName), database: server.database, sourcesByOid };
}

export interface SlotRequest {
  readonly db: pg.ClientBase;
  readonly replication: pg.ClientConfig;
  readonly directionName: DirectionName;
  readonly slotName: string;
  readonly failover: boolean;
  readonly timeoutMs: number;
  readonly lookEveryMs: number;
  readonly stream: StreamOptions;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** See `SlotCreation`. */
  readonly broken: AbortSignal;
}

export interface TakenSlot {
  readonly stream: ReplicationStream;
  readonly slotCreated: boolean;
}

/**
 * Takes the slot, and makes it when there is none, or only one that the server has given up. Returns undefined when
 * another listener has it. Whenever a slot of the active direction is new, or nothing was ever derived, a backfill of
 * everything is entered first (its message is sent once the slot exists); until it has ended nothing counts as applied.
 *
 * @throws LockstepError LS_COMPLETE, LS_SLOT_BLOCKED, LS_REPLICATION_PRIVILEGE and others; see `createSlot` and `ReplicationStream.start`.
 */
export async function takeSlot(request: SlotRequest): Promise<TakenSlot | undefined> {
  const { db, slotName: name, directionName } = request;
  // Two that start together must not replace each other's wish.
  const lock = slotLock(directionName);
  const [attempt] = await textRows<{ held: string }>(db, 'SELECT pg_try_advisory_lock($1) AS held', [lock]);
  if (attempt?.held !== 't') return undefined;
  try {
    const slot = await readSlot(db, name);
    if (slot?.active) return undefined;
    const lost = slot !== undefined && isLost(slot);
    const slotCreated = !slot || lost;
    // Asked once the slot is missed: whoever ends a migration drops it after the phase is committed. Nobody would read another.
    if (slotCreated && (await readPhase(db)) === 'complete')
      throw new LockstepError(
        'LS_COMPLETE',
        'The migration of this database is complete; its slots are gone for good.',
      );
    const wish = async () => {
      if (!(await needsBackfill(db, directionName, !slotCreated))) return false;
      await wishForBackfill(db, directionName, randomUUID());
      return true;
    };
    const wished = await wish();
    if (lost) await dropLost(request, slot);
    // The direction may have become the active one while its slot was made, which can take long; what was written before
    // the slot existed is in no stream.
    const onCreated = async () => void (wished || (await wish()));
    const stream = await openStream(request, slotCreated ? onCreated : undefined);
    return stream && { stream, slotCreated };
  } finally {
    // Of a session that is gone nothing is held.
    await db.query('SELECT pg_advisory_unlock($1)', [lock]).catch(() => undefined);
  }
}

/**
 * What was missed before the slot existed only matters while the direction is the active one. The way back begins equal:
 * its first slot is made while the other direction is active.
 */
async function needsBackfill(db: pg.ClientBase, direction: DirectionName, hasSlot: boolean): Promise<boolean> {
  if ((await readPhase(db)) !== direction) return false;
  return !hasSlot || (direction === 'forward' && !(await everBackfilled(db, direction)));
}

/** What it has not sent is gone with it; all of that is derived again. */
async function dropLost({ db, slotName: name, telemetry }: SlotRequest, slot: SlotFacts): Promise<void> {
  telemetry.log('error', 'slot.lost', {
    slotName: name,
    reason: slot.invalidation_reason ?? 'WAL that it had not sent was removed',
    remedy: 'a new slot is made and everything derived again; raise max_slot_wal_keep_size',
  });
  telemetry.measure('capture.slots_lost', 1);
  await db.query('SELECT pg_drop_replication_slot($1)', [name]);
}

/** @param onCreated makes the slot first; called when it exists, before anybody reads it. */
async function openStream(
  request: SlotRequest,
  onCreated: (() => Promise<void>) | undefined,
): Promise<ReplicationStream | undefined> {
  const { db, slotName: name } = request;
  const connection = await openReplicationConnection(request.replication);
  try {
    if (onCreated) {
      await createSlot(connection, db, request);
      await onCreated();
    }
    const stream = await ReplicationStream.start(connection, request.stream);
    // Only now, since while another had the slot the position could still move.
    stream.resumeFrom(confirmedPosition(name, await readSlot(db, name)));
    return stream;
  } catch (error) {
    await connection.close();
    // In use: another listener was faster.
    if (sqlState(error) === '55006') return undefined;
    throw error;
  }
}
