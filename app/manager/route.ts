import type { Side } from '../events.ts';
import type { Phase, State } from '../flags/state.ts';

/** The side that is the truth: where writes go. */
export function truthIn(phase: Phase): Side {
  return phase === 'forward' ? 'legacy' : 'normalized';
}

/** Whether it is the same time of the same phase: it has not turned and turned back in between. */
export function samePhase(a: State, b: State): boolean {
  return a.phase === b.phase && a.phaseSince === b.phaseSince;
}

/**
 * Whether reads may ask the normalized tables while legacy is the truth, whatever the flags say: only once they are
 * filled, and while changes arrive. Otherwise a list would be short and an answer old, and no error would tell.
 */
export function mayRead(state: State, mostBehindSeconds: number): boolean {
  return state.filled && state.behindSeconds <= mostBehindSeconds;
}
