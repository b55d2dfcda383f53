import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { FoldedRows, Transaction } from '../../engine/capture/fold.ts';
import { type Parcel, packRound } from '../../engine/capture/round.ts';
import { shardOf } from '../../engine/message/shard.ts';
import { defaultShards } from '../../infra/contract.ts';
import { migration } from '../../sql/migration.ts';

/** Messages as the listener packs them, `keysPerRound` rows in a round, for these rows of a source (key, then routing). */
export function packAll(
  sourceName: string,
  rows: readonly (readonly (string | null)[])[],
  keysPerRound: number,
): Parcel[] {
  const { forward } = migration;
  const source = forward.sources.find(({ name }) => name === sourceName);
  if (!source) throw new RangeError(`no source ${sourceName}`);
  const transaction: Transaction = { commitLsn: 1n, committedAtMicros: BigInt(Date.now()) * 1000n, xid: 3 };
  const parcels: Parcel[] = [];
  for (let from = 0; from < rows.length; from += keysPerRound) {
    const round = rows.slice(from, from + keysPerRound);
    const shards = new Map<number, FoldedRows>();
    for (const row of round) {
      const shard = shardOf(row, source.key.length, defaultShards);
      const folded = shards.get(shard) ?? new Map([[source, new Map<string, Transaction>()]]);
      shards.set(shard, folded);
      folded.get(source)?.set(JSON.stringify(row), transaction);
    }
    const taken = {
      shards,
      truncated: new Map(),
      keys: round.length,
      xids: new Set<number>(),
      position: undefined,
      lastCommit: transaction,
    };
    parcels.push(...packRound(taken, { directionName: 'forward', direction: forward, newId: randomUUID }));
  }
  return parcels;
}

const enterSql = `
  INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
  SELECT id, 'forward', 'changes', shard, '0/1', clock_timestamp(), keys FROM unnest($1::uuid[], $2::int[], $3::int[]) AS e (id, shard, keys)`;

/** Enters messages in the ledger, as the listener does before it sends them. */
export async function enterAll(pool: pg.Pool, parcels: readonly Parcel[]): Promise<void> {
  const entries = parcels.map(({ entry }) => entry);
  await pool.query(enterSql, [
    entries.map(({ id }) => id),
    entries.map(({ shard }) => shard),
    entries.map(({ keyCount }) => keyCount),
  ]);
}
