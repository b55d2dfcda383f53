import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Applier } from '../../engine/apply/applier.ts';
import type { ApplyOutcome } from '../../engine/apply/outcome.ts';
import type { ChangedRow, ChangesMessage } from '../../engine/message/message.ts';

/** A message that names these rows, entered in the ledger as the listener would. */
export async function changes(pool: pg.Pool, rows: Record<string, readonly ChangedRow[]>): Promise<ChangesMessage> {
  const message: ChangesMessage = {
    version: 1,
    kind: 'changes',
    id: randomUUID(),
    direction: 'forward',
    shard: 0,
    rows,
  };
  await pool.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     VALUES ($1, 'forward', 'changes', 0, pg_current_wal_lsn(), clock_timestamp(), 1)`,
    [message.id],
  );
  return message;
}

/** Enters and applies one message for these rows. */
export async function deliver(
  pool: pg.Pool,
  applier: Applier,
  rows: Record<string, readonly ChangedRow[]>,
): Promise<ApplyOutcome> {
  const [outcome] = await applier.apply([await changes(pool, rows)], { deadlineMs: Date.now() + 30_000 });
  if (!outcome) throw new Error('no outcome');
  return outcome;
}
