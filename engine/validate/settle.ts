import { extentOfScopes } from '../merge/predicate.ts';
import type { LoadedTarget } from '../migration/load.ts';
import { passBarrier } from '../wait/barrier.ts';
import { type Difference, findDifferences } from './compare.ts';
import { type ProofContext, prove } from './prove.ts';

export interface Settled {
  /** Proved: no change on its way explains them. */
  readonly drift: Difference[];
  /** Of scopes in quarantine, whose rows are known not to be what the view says. */
  readonly quarantined: Difference[];
  /** Scopes of which nothing could be proved, however often it was tried. */
  readonly unsettled: string[][];
  /** The deadline (or the signal) came before everything was tried. */
  readonly cutShort: boolean;
}

export interface SettleContext extends ProofContext {
  /** Epoch; what is not settled by then stays unsettled. */
  readonly deadlineMs: number;
}

/** Locks of one proof: far below what one merge may take. */
const scopesPerProof = 200;
/** A proof that was disturbed is tried with a fourth of its scopes, since fewer changes can disturb it. */
const partsOfDisturbed = 4;
const mostRounds = 6;
const longestBarrierMs = 60_000;
/** How long a round looks for a moment at which rows agree; fourfold in each that follows, `holdMs` at most. */
const firstWatchMs = 100;
const watchPauseMs = 10;

/** Cuts a list into parts of at most `size`. */
function partsOf<T>(list: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < list.length; start += size) parts.push(list.slice(start, start + size));
  return parts;
}

/**
 * Finds out which of the scopes that differed at some moment have drifted. Most only waited for a change on its way, so
 * after a barrier they are compared again; what differs still is watched, and what never agrees is proved, or is not
 * (see `prove`).
 *
 * @throws LockstepError LS_SLOT_MISSING, LS_SLOT_LOST, when nothing can be proved since nothing is captured.
 */
export async function settle(
  context: SettleContext,
  target: LoadedTarget,
  scopes: readonly string[][],
): Promise<Settled> {
  const settled: Settled & { cutShort: boolean } = { drift: [], quarantined: [], unsettled: [], cutShort: false };
  let pending: readonly string[][][] = partsOf(scopes, scopesPerProof);
  for (let round = 1; pending.length > 0; round += 1) {
    // One barrier serves all parts of a round: they were all compared before it.
    if (!(await barrier(context)) || round > mostRounds) {
      settled.unsettled.push(...pending.flat());
      settled.cutShort = isOver(context);
      break;
    }
    const disturbed: string[][][] = [];
    const watchMs = Math.min(context.holdMs, firstWatchMs * 4 ** (round - 1));
    for (const part of pending) disturbed.push(...(await settlePart(context, target, part, watchMs, settled)));
    pending = disturbed;
  }
  return settled;
}

/** Watches scopes and proves what never agrees. @returns those of which nothing could be proved, in smaller parts. */
async function settlePart(
  context: SettleContext,
  target: LoadedTarget,
  scopes: readonly string[][],
  watchMs: number,
  settled: Settled,
): Promise<string[][][]> {
  const remaining = await neverAgreeing(context, target, scopes, watchMs, settled);
  if (remaining.length === 0) return [];
  const proof = await prove(context, target, remaining);
  switch (proof.kind) {
    case 'proved':
      sortOut(proof.differences, settled);
      return [];
    case 'fenced':
      settled.unsettled.push(...remaining);
      return [];
    case 'not yet':
      return partsOf(remaining, Math.max(1, Math.ceil(remaining.length / partsOfDisturbed)));
  }
}

export function isOver({ clock, signal, deadlineMs }: SettleContext): boolean {
  return clock.nowMs() >= deadlineMs || signal?.aborted === true;
}

async function barrier({ pool, loaded, clock, signal, deadlineMs }: SettleContext): Promise<boolean> {
  const timeoutMs = Math.min(longestBarrierMs, deadlineMs - clock.nowMs());
  if (timeoutMs <= 0 || signal?.aborted) return false;
  return (await passBarrier({ db: pool, direction: loaded.name, timeoutMs, clock, ...(signal && { signal }) })).applied;
}

/**
 * Scopes that must be proved: those with a row that differs each time that one looks. What is in quarantine needs no
 * proof, and neither does a row that agreed once, since what has drifted differs until it is merged. Without this a
 * scope that is always written to would never be settled: a change of it is nearly always on its way, and waits for the
 * very locks of its proof.
 */
async function neverAgreeing(
  context: SettleContext,
  target: LoadedTarget,
  scopes: readonly string[][],
  watchMs: number,
  settled: Settled,
): Promise<string[][]> {
  const { pool, loaded, clock } = context;
  const untilMs = clock.nowMs() + watchMs;
  let remaining = [...scopes];
  for (let suspects: Set<string> | undefined; ; await clock.pauseMs(watchPauseMs)) {
    const differences = await findDifferences(pool, loaded.name, target, extentOfScopes(target, remaining));
    const suspected = differences.filter(
      ({ key, quarantined }) => !quarantined && suspects?.has(JSON.stringify(key)) !== false,
    );
    suspects = new Set(suspected.map(({ key }) => JSON.stringify(key)));
    const inQuestion = new Map<string, string[]>();
    for (const { scope, foundInScope } of suspected) {
      for (const part of [scope, foundInScope ?? scope]) inQuestion.set(JSON.stringify(part), [...part]);
    }
    // Quarantined rows of a scope that is in question are told by the proof, which looks at all of its rows.
    sortOut(
      differences.filter(({ scope, quarantined }) => quarantined && !inQuestion.has(JSON.stringify(scope))),
      settled,
    );
    remaining = [...inQuestion.values()];
    if (remaining.length === 0 || clock.nowMs() >= untilMs || isOver(context)) return remaining;
  }
}

function sortOut(differences: readonly Difference[], settled: Settled): void {
  for (const difference of differences) (difference.quarantined ? settled.quarantined : settled.drift).push(difference);
}
