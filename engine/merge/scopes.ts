import { type LockKey, lockName, scopeLock } from '../locks.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedDirection, LoadedTarget } from '../migration/load.ts';

/** One scope of one target: what is locked, derived and written together. */
export interface ScopeRef {
  readonly target: LoadedTarget;
  readonly scope: readonly string[];
}

/** One text for one scope, whoever names it. */
export function scopeIdentity({ target, scope }: ScopeRef): string {
  return [target.name, ...scope].join('\0');
}

/** In dependency order, without repetition, and without scopes that have a NULL part: such rows belong to no scope. */
export function distinctScopes(refs: Iterable<ScopeRef>): ScopeRef[] {
  const byIdentity = new Map<string, ScopeRef>();
  for (const ref of refs) {
    if (ref.scope.every((part) => part !== null)) byIdentity.set(scopeIdentity(ref), ref);
  }
  return [...byIdentity.values()].sort((a, b) => a.target.ordinal - b.target.ordinal);
}

/** In dependency order: each target with its scopes. */
export function byTarget(refs: readonly ScopeRef[]): { target: LoadedTarget; scopes: (readonly string[])[] }[] {
  const groups = new Map<LoadedTarget, (readonly string[])[]>();
  for (const { target, scope } of refs) {
    const scopes = groups.get(target);
    if (scopes) scopes.push(scope);
    else groups.set(target, [scope]);
  }
  return [...groups]
    .map(([target, scopes]) => ({ target, scopes }))
    .sort((a, b) => a.target.ordinal - b.target.ordinal);
}

export function scopeLocks(direction: DirectionName, refs: readonly ScopeRef[]): LockKey[] {
  return refs.map(({ target, scope }) => {
    const names = scope.map((part, column) => lockName(part, target.scopeLockedBy[column] ?? 'nothing'));
    return scopeLock(direction, target.name, names);
  });
}

/** @throws RangeError when the direction has no such target. */
export function targetNamed(loaded: LoadedDirection, name: string): LoadedTarget {
  const target = loaded.targets.find((candidate) => candidate.name === name);
  if (!target) throw new RangeError(`direction ${loaded.name} has no target "${name}"`);
  return target;
}
