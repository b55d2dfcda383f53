import type { Moved } from '../merge/moved.ts';
import { distinctScopes, type ScopeRef, scopeIdentity } from '../merge/scopes.ts';
import { leftOver, type Reason } from '../quarantine/quarantine.ts';
import { type Batch, followUps, together, toRepeat } from './batch.ts';
import type { Narrowed } from './narrow.ts';

type Quarantined = readonly [ScopeRef, Reason];

export interface Remaining {
  /** What is to be merged by further transactions. */
  readonly batches: readonly Batch[];
  /** What goes into quarantine with this one. */
  readonly quarantined: readonly Quarantined[];
  /** Scopes of which this one has not written all that it derived, or derived what has changed since: see `noteUnfinished`. */
  readonly unfinished: readonly ScopeRef[];
}

/** What a transaction has found beside what it merged. */
export interface Found {
  /** Scopes that it did not begin with. */
  readonly rest: readonly ScopeRef[];
  /** By source name, the keys of the rows whose locks it holds; undefined when no one else can be merging. */
  readonly handled: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  /** Rows that stay in scopes although they belong to scopes in quarantine. */
  readonly lodgers: readonly Moved[];
  /** Scopes whose keepers this work has looked for already, by `scopeIdentity`. */
  readonly looked: ReadonlySet<string>;
}

/** What a transaction leaves to others, and to quarantine. */
export function remaining(batch: Batch, narrowed: Narrowed, { rest, handled, lodgers, looked }: Found): Remaining {
  const { result, refusal, quarantined: refused, extended, left } = narrowed;
  const follow = followUps(batch, result, refusal !== undefined);
  const batches = [...follow.batches, ...extended];
  const untried = [...left, ...rest];
  if (untried.length > 0) batches.push({ scopes: untried, extensions: batch.extensions });
  // Their own events may not lead there any more: what did is gone.
  const following = distinctScopes(result.following);
  const repeat = [...(handled ? toRepeat(result.arrivals, handled) : []), ...except(following, untried)];
  if (repeat.length > 0) batches.push(together(repeat, batch.extensions));
  // What has led to a scope may be a row of the target, and gone with its parent when the message comes again. (Of those that
  // were known before, an earlier transaction has noted them.)
  const found = batch.scopes === undefined ? untried.filter(({ target }) => !target.scopeIsKey) : [];
  const unfinished = distinctScopes([
    ...follow.batches.flatMap(({ scopes = [] }) => scopes),
    ...repeat,
    ...following,
    ...found,
  ]);

  const stranded = except(
    follow.stranded,
    refused.map(([ref]) => ref),
  );
  // Of the former the server's words say more; the others will say it themselves.
  const merged = batches.flatMap(({ scopes = [] }) => scopes);
  const keeping = except(lodgers, [...stranded, ...refused.map(([ref]) => ref), ...merged]);
  const quarantined = [...refused, ...leftOver([...result.lodgers, ...keeping], follow.waiting, stranded, refusal)];

  // Of a stranded scope all rows that others keep are known: they are what it is stranded by.
  const unwritten = [...refused.map(([ref]) => ref), ...follow.waiting].filter(
    (ref) => !ref.target.scopeIsKey && !looked.has(scopeIdentity(ref)),
  );
  if (handled && unwritten.length > 0)
    batches.push({ scopes: undefined, extensions: 0, keepersOf: distinctScopes(unwritten) });
  return { batches, quarantined, unfinished };
}

function except<Ref extends ScopeRef>(refs: readonly Ref[], those: readonly ScopeRef[]): Ref[] {
  const known = new Set(those.map(scopeIdentity));
  return refs.filter((ref) => !known.has(scopeIdentity(ref)));
}
