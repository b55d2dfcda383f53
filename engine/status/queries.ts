import { parseLsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';
import { notUnderWay } from '../quarantine/quarantine.ts';
import { type Queryable, textRows } from '../text-query.ts';

export interface SlotState {
  readonly name: string;
  /** Whether a listener is connected. */
  readonly active: boolean;
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost';
  readonly confirmedLsn: string;
  /** WAL that the server keeps for the slot. */
  readonly retainedBytes: number;
  /** WAL that has been written and not been sent to the queue. */
  readonly unconfirmedBytes: number;
  /** WAL that may still be written before the slot can be lost; null: no limit is set (max_slot_wal_keep_size). */
  readonly safeWalBytes: number | null;
  /** Why it was lost; PostgreSQL 17 and newer say. */
  readonly invalidationReason: string | null;
}

export interface StreamState {
  /** The server's clock. */
  readonly nowMs: number;
  /** End of the WAL, as a number. */
  readonly walPosition: bigint;
  /** Undefined before the listener's first start. */
  readonly slot: SlotState | undefined;
  readonly slotName: string | undefined;
  readonly listenerSeenAtMs: number | undefined;
}

export interface QuarantineGroup {
  readonly target: string;
  readonly sqlState: string;
  readonly scopes: number;
  /** What the server said of the one that failed last. */
  readonly message: string;
}

/** https://www.postgresql.org/docs/current/view-pg-replication-slots.html */
const streamSql = `
  SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now, pg_current_wal_lsn() AS wal, s.slot_name AS slot,
         extract(epoch FROM s.listener_seen_at) * 1000 AS seen,
         r.confirmed_flush_lsn AS confirmed, r.active, r.wal_status, r.safe_wal_size AS safe,
         pg_wal_lsn_diff(pg_current_wal_lsn(), r.restart_lsn) AS retained,
         pg_wal_lsn_diff(pg_current_wal_lsn(), r.confirmed_flush_lsn) AS unconfirmed,
         to_jsonb(r) ->> 'invalidation_reason' AS invalidation
    FROM (SELECT $1 AS direction) d
    LEFT JOIN lockstep.stream s ON s.direction = d.direction
    LEFT JOIN pg_replication_slots r ON r.slot_name = s.slot_name`;

interface StreamRow extends Record<string, string | null> {
  now: string;
  wal: string;
  slot: string | null;
  seen: string | null;
  confirmed: string | null;
  active: string | null;
  wal_status: string | null;
  safe: string | null;
  retained: string | null;
  unconfirmed: string | null;
  invalidation: string | null;
}

/** The slot and the listener of a direction, and how far the WAL has come. */
export async function readStream(db: Queryable, direction: DirectionName): Promise<StreamState> {
  const [row] = await textRows<StreamRow>(db, streamSql, [direction]);
  if (!row) throw new Error('The server answered a query of one row with none.');
  return {
    nowMs: Number(row.now),
    walPosition: parseLsn(row.wal),
    slot: slotOf(row),
    slotName: row.slot ?? undefined,
    listenerSeenAtMs: row.seen === null ? undefined : Number(row.seen),
  };
}

/** A slot that is lost has no position and no status but `lost`. */
function slotOf(row: StreamRow): SlotState | undefined {
  if (row.slot === null || row.active === null) return undefined;
  return {
    name: row.slot,
    active: row.active === 't',
    walStatus: (row.wal_status ?? 'lost') as SlotState['walStatus'],
    confirmedLsn: row.confirmed ?? '0/0',
    retainedBytes: Number(row.retained ?? 0),
    unconfirmedBytes: Number(row.unconfirmed ?? 0),
    safeWalBytes: row.safe === null ? null : Number(row.safe),
    invalidationReason: row.invalidation,
  };
}

export interface LastValidation {
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly secondsAgo: number;
  /** Null: there is more to compare. */
  readonly verdict: 'agrees' | 'differs' | 'unproven' | null;
  readonly rowsDrifted: number;
  /** Whether all targets were asked for. */
  readonly whole: boolean;
  /** Null: all rows. */
  readonly samplePercent: number | null;
}

const validationSql = `
  SELECT to_json(started_at AT TIME ZONE 'UTC') #>> '{}' AS started, verdict, rows_drifted AS drifted, sample_percent AS sample, whole,
         extract(epoch FROM clock_timestamp() - started_at) AS ago
    FROM lockstep.validation WHERE direction = $1 AND targets <> '{}' ORDER BY started_at DESC LIMIT 1`;

interface ValidationRow extends Record<string, string | null> {
  started: string;
  verdict: LastValidation['verdict'];
  drifted: string;
  sample: string | null;
  whole: string;
  ago: string;
}

/** The validation of rows that was started last; undefined when there has been none. Counts alone are no answer for rows. */
export async function readLastValidation(db: Queryable, direction: DirectionName): Promise<LastValidation | undefined> {
  const [row] = await textRows<ValidationRow>(db, validationSql, [direction]);
  return (
    row && {
      startedAt: `${row.started}Z`,
      secondsAgo: Number(row.ago),
      verdict: row.verdict,
      rowsDrifted: Number(row.drifted),
      whole: row.whole === 't',
      samplePercent: row.sample === null ? null : Number(row.sample),
    }
  );
}

const quarantineSql = `
  SELECT target, sqlstate, count(*) AS scopes, (array_agg(message ORDER BY last_failed_at DESC))[1] AS message
    FROM lockstep.quarantine WHERE direction = $1 AND ($2 OR ${notUnderWay}) GROUP BY target, sqlstate ORDER BY target, sqlstate`;

/**
 * What is in quarantine, by target and reason.
 *
 * @param underWay also what was noted a moment ago: for a decision that nothing could mend afterwards.
 */
export async function readQuarantineGroups(
  db: Queryable,
  direction: DirectionName,
  underWay = false,
): Promise<QuarantineGroup[]> {
  const rows = await textRows<{ target: string; sqlstate: string; scopes: string; message: string }>(
    db,
    quarantineSql,
    [direction, underWay],
  );
  return rows.map(({ target, sqlstate, scopes, message }) => ({
    target,
    sqlState: sqlstate,
    scopes: Number(scopes),
    message,
  }));
}
