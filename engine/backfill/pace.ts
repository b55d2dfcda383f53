import type pg from 'pg';
import type { DirectionName } from '../migration/contract.ts';

/** What the server is busy with, as far as a backfill has to yield to it. */
export interface Load {
  /** WAL that the slowest slot or standby has not confirmed, in bytes. */
  readonly lagBytes: number;
  /** Sessions that wait for a lock (ours among them are the stream's merges, which should not wait either). */
  readonly lockWaits: number;
  /** How long ago the oldest change that the stream has not applied yet committed. */
  readonly oldestChangeMs: number;
  /** Sessions that run a statement now, this one left out. */
  readonly activeSessions: number;
}

/** The stream is behind when a change waits for longer than this. */
const lateMs = 500;
const highLagBytes = 256 * 1024 * 1024;
const longestPauseMs = 1_000;

/**
 * How long to wait before the next chunk. Without anybody in need: not at all. With lock waits, or a stream that is
 * behind: as long as the last chunk took, so that half of the time is theirs. With much unread WAL, or more active
 * sessions than `maxLoad`: a second.
 */
export function pauseBeforeChunkMs(load: Load, lastChunkMs: number, maxLoad: number | undefined): number {
  if (load.lagBytes > highLagBytes) return longestPauseMs;
  if (maxLoad !== undefined && load.activeSessions > maxLoad) return longestPauseMs;
  if (load.lockWaits > 0 || load.oldestChangeMs > lateMs) return Math.min(longestPauseMs, lastChunkMs);
  return 0;
}

const loadSql = `
  SELECT coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)) FROM pg_replication_slots
                   WHERE active AND confirmed_flush_lsn IS NOT NULL), 0)::float8 AS "lagBytes",
         coalesce((SELECT extract(epoch FROM clock_timestamp() - min(committed_at)) * 1000 FROM lockstep.in_flight
                   WHERE direction = $1 AND kind = 'changes'), 0)::float8 AS "oldestChangeMs",
         (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())::int AS "lockWaits",
         (SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'
            AND pid <> pg_backend_pid() AND datname = current_database())::int AS "activeSessions"`;

export async function readLoad(db: Pick<pg.Pool, 'query'>, direction: DirectionName): Promise<Load> {
  return (
    (await db.query<Load>(loadSql, [direction])).rows[0] ?? {
      lagBytes: 0,
      lockWaits: 0,
      oldestChangeMs: 0,
      activeSessions: 0,
    }
  );
}
