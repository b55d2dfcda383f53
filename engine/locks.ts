import { hash } from 'node:crypto';
import type { DirectionName } from './migration/contract.ts';

/**
 * Advisory locks share one space of 64-bit numbers with the application's own, so each of ours is a hash of a name
 * that begins with `lockstep`. A collision makes two things wait for each other that need not; it never breaks a rule.
 * https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
 */
export type LockKey = bigint;

function lockKey(...parts: readonly string[]): LockKey {
  // NUL cannot occur in PostgreSQL text, so two lists of parts never run together to the same name.
  return hash('md5', `lockstep\0${parts.join('\0')}`, 'buffer').readBigInt64BE(0);
}

/** Held by whoever applies the numbered SQL files. */
export function stepsLock(): LockKey {
  return lockKey('steps');
}

/** Held by the listener that is making a direction's slot. */
export function slotLock(direction: DirectionName): LockKey {
  return lockKey('slot', direction);
}

/** Held by whoever is about to change the phase. */
export function switchLock(): LockKey {
  return lockKey('switch');
}

/** Merges hold it shared, a cutover exclusively. */
export function directionLock(direction: DirectionName): LockKey {
  return lockKey('direction', direction);
}

/** Merges hold it shared, a backfill chunk exclusively. */
export function targetLock(direction: DirectionName, target: string): LockKey {
  return lockKey('target', direction, target);
}

/**
 * The name of a value in a lock. Texts of equal values may differ, and who wants to lock one of them must meet who has locked
 * the other: `by` is the catalog's word on its type (`CatalogColumn.lockedBy`).
 */
export function lockName(text: string, by: 'text' | 'number' | 'nothing'): string {
  if (by === 'text') return text;
  if (by === 'nothing') return '';
  if (text === '-0') return '0';
  return /^-?\d+\.\d+$/.test(text) ? text.replace(/\.?0+$/, '') : text;
}

/** Serializes what one source row asks for. `key`: its key values in order. */
export function rowLock(direction: DirectionName, source: string, key: readonly string[]): LockKey {
  return lockKey('row', direction, source, ...key);
}

/** Serializes the writes to one scope of one target. */
export function scopeLock(direction: DirectionName, target: string, scope: readonly string[]): LockKey {
  return lockKey('scope', direction, target, ...scope);
}

/** Sorted and without repetition: everyone takes locks in this order, so that no two wait for each other. */
export function inLockOrder(keys: Iterable<LockKey>): LockKey[] {
  return [...new Set(keys)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
