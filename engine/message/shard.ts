import { crc32 } from 'node:zlib';
import type { DirectionName } from '../migration/contract.ts';
import type { ChangedRow } from './message.ts';

/**
 * The shard of a changed row, 0 to `shards` - 1: by its first routing value, so that rows of several sources which
 * belong together (the photos and the videos of one project) are in one message; by its key when it carries none. Under
 * which group the message goes may differ (see `Lanes`). Correctness does not depend on it, only how long appliers wait for
 * each other.
 */
export function shardOf(row: ChangedRow, keyColumns: number, shards: number): number {
  const routing = row[keyColumns];
  // NUL cannot occur in PostgreSQL text: composite keys never run together.
  return crc32(routing ?? row.slice(0, keyColumns).join('\0')) % shards;
}

/** The group under which a shard's messages are queued; two directions may share a queue. */
export function groupOfShard(direction: DirectionName, shard: number): string {
  return `${direction}-${shard}`;
}

/** Backfills wait for nothing but each other. */
export function groupOfBackfill(direction: DirectionName): string {
  return `${direction}-backfill`;
}
