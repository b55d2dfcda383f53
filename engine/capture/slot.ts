import { LockstepError } from '../errors.ts';
import { type Lsn, parseLsn } from '../lsn.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** A row of pg_replication_slots; columns that this version of the server lacks are absent. */
export interface SlotFacts {
  readonly plugin: string | null;
  readonly slot_type: string;
  readonly database: string | null;
  readonly temporary: boolean;
  readonly active: boolean;
  readonly active_pid: number | null;
  readonly confirmed_flush_lsn: string | null;
  readonly wal_status: string | null;
  /** 16. */
  readonly conflicting?: boolean | null;
  /** 17. */
  readonly invalidation_reason?: string | null;
}

/** Undefined when there is no slot of this name in the cluster. */
export async function readSlot(db: Queryable, slotName: string): Promise<SlotFacts | undefined> {
  const [row] = await textRows<{ slot: string }>(
    db,
    'SELECT to_json(s) AS slot FROM pg_replication_slots s WHERE slot_name = $1',
    [slotName],
  );
  return row && (JSON.parse(row.slot) as SlotFacts);
}

/** Why a slot that exists is none of ours; undefined: it is. */
export function flawInSlot(slotName: string, database: string, slot: SlotFacts): LockstepError | undefined {
  if (slot.slot_type !== 'logical' || slot.plugin !== 'pgoutput' || slot.temporary) {
    const kind = `${slot.temporary ? 'temporary ' : ''}${slot.slot_type}${slot.plugin === null ? '' : `, plugin ${slot.plugin}`}`;
    return new LockstepError(
      'LS_SLOT_FOREIGN',
      `Replication slot ${slotName} is of another kind (${kind}) than Lockstep's (logical, plugin pgoutput).`,
    );
  }
  if (slot.database !== database) {
    return new LockstepError(
      'LS_SLOT_FOREIGN',
      `Replication slot ${slotName} belongs to database "${slot.database}", not to "${database}".`,
    );
  }
  return undefined;
}

/** Whether the server has given the slot up: it can never be read again, and no slot of its name be made while it is there. */
export function isLost(slot: SlotFacts): boolean {
  return slot.wal_status === 'lost' || slot.conflicting === true || Boolean(slot.invalidation_reason);
}

export function slotBusy(slotName: string, slot: SlotFacts | undefined): LockstepError {
  const by = slot?.active_pid ? ` by the server's process ${slot.active_pid}` : '';
  return new LockstepError(
    'LS_LISTENER_RUNNING',
    `Replication slot ${slotName} is in use${by}: another listener is running.`,
  );
}

/** Where a slot has been confirmed to: every commit whose record starts there or later is still to come. */
export function confirmedPosition(slotName: string, slot: SlotFacts | undefined): Lsn {
  if (!slot?.confirmed_flush_lsn)
    throw new LockstepError('LS_SLOT_LOST', `Replication slot ${slotName} has disappeared or has no position.`);
  return parseLsn(slot.confirmed_flush_lsn);
}
