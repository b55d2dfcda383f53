import { createHash } from 'node:crypto';
import type { DirectionName } from '../migration/contract.ts';

/** A publication belongs to its database. */
export function publicationName(direction: DirectionName): string {
  return `lockstep_${direction}`;
}

// NAMEDATALEN - 1
const maxNameLength = 63;

/**
 * Slots belong to the whole cluster, so the name holds the database's; they may consist of a-z, 0-9 and _ only, so a
 * name that had to be changed or cut also gets a hash of the original, lest `Shop` and `shop` share a slot.
 * https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION
 */
export function slotName(direction: DirectionName, database: string): string {
  const prefix = `lockstep_${direction}_`;
  const plain = database.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_');
  if (plain === database && prefix.length + plain.length <= maxNameLength) return prefix + plain;
  const hash = createHash('sha256').update(database).digest('hex').slice(0, 8);
  return `${prefix}${plain.slice(0, maxNameLength - prefix.length - 1 - hash.length)}_${hash}`;
}
