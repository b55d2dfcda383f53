/** Which side is the truth: `forward` the legacy tables, `reverse` the normalized ones; `complete`: there is one side only. */
export type Phase = 'forward' | 'reverse' | 'complete';

/** What changes the phase. */
export type PhaseChange = 'cutover' | 'rollback' | 'completion' | 'restoration';

/**
 * Where each change leads from each phase; null: it is refused there. A phase or a change that is added does not compile
 * until it is decided here. A restoration gives the legacy tables back as they were at the backup, so the normalized ones
 * stay the truth; the way back to legacy is a rollback from there, once they are brought up to date.
 */
const transitions = {
  forward: { cutover: 'reverse', rollback: null, completion: null, restoration: null },
  reverse: { cutover: null, rollback: 'forward', completion: 'complete', restoration: null },
  complete: { cutover: null, rollback: null, completion: null, restoration: 'reverse' },
} as const satisfies Readonly<Record<Phase, Readonly<Record<PhaseChange, Phase | null>>>>;

/** The phase that `change` leads to; undefined when it is not allowed from `phase`. */
export function phaseAfter(phase: Phase, change: PhaseChange): Phase | undefined {
  return transitions[phase][change] ?? undefined;
}

/** Why a change is refused, for people. */
export function refusalOf(phase: Phase, change: PhaseChange): string {
  return {
    forward: `The legacy tables are the truth (phase forward), and a ${change} is not a way on from there.`,
    reverse: `The normalized tables are the truth (phase reverse), and a ${change} is not a way on from there.`,
    complete: `The migration is complete, and a ${change} is not a way on from there.`,
  }[phase];
}
