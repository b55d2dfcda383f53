import type pg from 'pg';
import { cutConnection } from '../connection.ts';
import { LockstepError } from '../errors.ts';
import { quote } from '../identifiers.ts';
import { sqlState } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';
import { type Queryable, textRows } from '../text-query.ts';
import type { ReplicationConnection } from './connection.ts';

export interface SlotCreation {
  readonly slotName: string;
  /** Ask for a slot that follows a failover (PostgreSQL 17 and newer). */
  readonly failover: boolean;
  readonly timeoutMs: number;
  /** How often to look who is in the way. */
  readonly lookEveryMs: number;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** Aborted when the run is lost, and nobody is left who could cancel it: the connection is cut. */
  readonly broken: AbortSignal;
}

// A slot becomes consistent when every transaction that ran as it was begun has ended, of any database; the server waits for
// them one by one. The one that it waits for is the first of those named (the ten oldest).
const inTheWaySql = `
  WITH waiting AS (
    SELECT pids, (SELECT query_start FROM pg_stat_activity WHERE pid = $1) AS since
    FROM pg_blocking_pids($1) AS pids WHERE cardinality(pids) > 0)
  SELECT holder FROM (
    SELECT format('process %s (%s, user %s, database %s, transaction open for %s)', a.pid,
             coalesce(nullif(a.application_name, ''), 'no application name'), a.usename, a.datname,
             coalesce(date_trunc('second', clock_timestamp() - a.xact_start)::text, 'a time this role may not see')) AS holder,
           a.pid = ANY (w.pids) AS waited, a.xact_start AS since
    FROM waiting w, pg_stat_activity a
    WHERE a.pid = ANY (w.pids) OR a.backend_xid IS NOT NULL AND a.xact_start < w.since
    UNION ALL
    SELECT format('prepared transaction "%s" (user %s, database %s, prepared %s ago)', p.gid, p.owner, p.database,
             date_trunc('second', clock_timestamp() - p.prepared)), 0 = ANY (w.pids), p.prepared
    FROM waiting w, pg_prepared_xacts p WHERE 0 = ANY (w.pids) OR p.prepared < w.since) AS open
  ORDER BY waited DESC, since LIMIT 10`;

/** What keeps the process `pid` of the server from creating a slot. */
export async function transactionsInTheWay(db: Queryable, pid: number): Promise<string[]> {
  const rows = await textRows<{ holder: string }>(db, inTheWaySql, [pid]);
  return rows.map((row) => row.holder);
}

/**
 * Creates the slot. A long transaction anywhere on the server holds it up: that is told (`slot.waiting`, with who it
 * is) again and again, and given up after `timeoutMs`; nothing is left behind then.
 *
 * @param db another connection, to look from.
 * @throws LockstepError LS_SLOT_BLOCKED, LS_SLOTS_EXHAUSTED, LS_REPLICATION_PRIVILEGE; the signal's reason.
 */
export async function createSlot(
  connection: ReplicationConnection,
  db: pg.ClientBase,
  creation: SlotCreation,
): Promise<void> {
  const { slotName, failover, timeoutMs, lookEveryMs, telemetry, signal, broken } = creation;
  const pid = connection.serverPid;
  let holders: string[] = [];
  const look = async () => {
    const found = await transactionsInTheWay(db, pid);
    // Given up, it is in nobody's way any more; who was, is still to be told.
    if (found.length === 0) return;
    holders = found;
    telemetry.log('warn', 'slot.waiting', { slotName, holders });
  };
  const looking = setInterval(() => {
    look().catch((error: unknown) => telemetry.log('warn', 'slot.waiting', { slotName, error: String(error) }));
  }, lookEveryMs);
  const cancel = () => {
    db.query('SELECT pg_cancel_backend($1)', [pid]).catch((error: unknown) =>
      telemetry.log('warn', 'slot.cancel-failed', { slotName, error: String(error) }),
    );
  };
  const giveUp = setTimeout(cancel, timeoutMs);
  signal.addEventListener('abort', cancel, { once: true });
  const cut = () => cutConnection(connection.client);
  broken.addEventListener('abort', cut);
  try {
    await connection.command(
      `CREATE_REPLICATION_SLOT ${quote(slotName)} LOGICAL pgoutput (SNAPSHOT 'nothing'${failover ? ', FAILOVER true' : ''})`,
    );
    telemetry.log('info', 'slot.created', { slotName });
  } catch (error) {
    if (sqlState(error) !== '57014') throw error;
    signal.throwIfAborted();
    throw blocked(creation, holders, error);
  } finally {
    clearInterval(looking);
    clearTimeout(giveUp);
    signal.removeEventListener('abort', cancel);
    broken.removeEventListener('abort', cut);
  }
}

function blocked({ slotName, timeoutMs }: SlotCreation, holders: readonly string[], cause: unknown): LockstepError {
  const who = holders.length > 0 ? ` It waited for: ${holders.join('; ')}.` : '';
  const message = `Replication slot ${slotName} could not be created within ${timeoutMs} ms.${who}`;
  return new LockstepError('LS_SLOT_BLOCKED', message, { cause });
}
