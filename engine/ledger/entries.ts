import { LockstepError } from '../errors.ts';
import { formatLsn, type Lsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';

/** A row of lockstep.in_flight: a message that has been, or is about to be, sent. */
export interface LedgerEntry {
  /** UUID of the message. */
  readonly id: string;
  readonly kind: 'changes' | 'truncate' | 'backfill';
  readonly shard: number;
  /** Start of the earliest commit record among the changes that the message names. */
  readonly commitLsn: Lsn;
  /** When that transaction committed, in microseconds since 1970. */
  readonly committedAtMicros: bigint;
  readonly keyCount: number;
  /** How many of them are of which source, by its name. */
  readonly sourceKeys: Readonly<Record<string, number>>;
}

/** Who may write entries: the listener that holds the slot, told from those that held it before by the epoch. */
export interface Tenure {
  readonly direction: DirectionName;
  readonly epoch: bigint;
}

// FOR SHARE: a listener that is taking over waits until these entries are committed, and so finds them to forget.
const enterSql = `
  WITH tenure AS (SELECT FROM lockstep.stream WHERE direction = $1 AND epoch = $2 FOR SHARE)
  INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count, source_keys)
  SELECT e.id, $1, e.kind, e.shard, e.commit_lsn, timestamptz 'epoch' + e.micros * interval '1 microsecond', e.key_count, e.source_keys
  FROM tenure, unnest($3::uuid[], $4::text[], $5::int[], $6::pg_lsn[], $7::bigint[], $8::int[], $9::jsonb[])
    AS e (id, kind, shard, commit_lsn, micros, key_count, source_keys)`;

/**
 * Enters messages, all or none, before they are sent. On a connection with synchronous_commit = on (see `connection.ts`)
 * they survive a crash of the server once this returns.
 *
 * @throws LockstepError LS_LISTENER_SUPERSEDED when another listener has raised the epoch.
 */
export async function enter(db: Queryable, tenure: Tenure, entries: readonly LedgerEntry[]): Promise<void> {
  const result = await db.query(enterSql, [
    tenure.direction,
    tenure.epoch,
    entries.map((entry) => entry.id),
    entries.map((entry) => entry.kind),
    entries.map((entry) => entry.shard),
    entries.map((entry) => formatLsn(entry.commitLsn)),
    entries.map((entry) => entry.committedAtMicros),
    entries.map((entry) => entry.keyCount),
    entries.map((entry) => JSON.stringify(entry.sourceKeys)),
  ]);
  if (result.rowCount !== entries.length) throw superseded(tenure);
}

const heartbeatSql = `
  UPDATE lockstep.stream SET listener_seen_at = clock_timestamp() WHERE direction = $1 AND epoch = $2
  RETURNING greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), $3::pg_lsn)) AS behind`;

/**
 * Notes that this listener lives. Returns how many bytes of WAL the server is ahead of `confirmed`.
 *
 * @throws LockstepError LS_LISTENER_SUPERSEDED when another listener has raised the epoch.
 */
export async function heartbeat(db: Queryable, tenure: Tenure, confirmed: Lsn): Promise<number> {
  const [row] = await textRows<{ behind: string }>(db, heartbeatSql, [
    tenure.direction,
    tenure.epoch,
    formatLsn(confirmed),
  ]);
  if (!row) throw superseded(tenure);
  return Number(row.behind);
}

function superseded({ direction, epoch }: Tenure): LockstepError {
  return new LockstepError(
    'LS_LISTENER_SUPERSEDED',
    `Another listener of the ${direction} direction has taken over from this one (epoch ${epoch}).`,
  );
}
