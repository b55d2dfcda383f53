import type { DirectionName } from '../migration/contract.ts';
import { listenerSilenceMs } from '../status/health.ts';
import type { QuarantineGroup, StreamState } from '../status/queries.ts';

/** A reason not to change the direction now, and what to do about it. */
export interface Refusal {
  /** A fixed name, for machines and for docs/cutover.md. */
  readonly name: RefusalName;
  readonly reason: string;
  readonly remedy: string;
}

export const refusalNames = [
  'wrong-phase',
  'already-under-way',
  'not-armed',
  'listener-down',
  'not-validated',
  'backfill-unfinished',
  'quarantine',
  'dead-letters',
  'in-flight-too-old',
  'lag',
  'long-transaction',
  'vacuum',
  'too-much-to-compare',
  'locked',
  'pause-exceeded',
  'drift',
] as const;
export type RefusalName = (typeof refusalNames)[number];

/** A transaction that has written something and is still open. */
export interface OpenTransaction {
  readonly name: string;
  readonly seconds: number;
}

/** What is known before anything is locked. `ending` is the active direction, `starting` the other. */
export interface SwitchFacts {
  readonly ending: DirectionName;
  readonly starting: DirectionName;
  /** What arming lacks, in words; undefined: nothing. */
  readonly armingLacks: string | undefined;
  readonly endingStream: StreamState;
  readonly startingStream: StreamState;
  /** The last one of everything since the direction became active, was armed, or a step ran; undefined: none has come to an end. */
  readonly validation:
    | { readonly verdict: string; readonly secondsAgo: number; readonly rowsDrifted: number }
    | undefined;
  readonly unfinishedBackfills: number;
  readonly quarantine: readonly QuarantineGroup[];
  readonly deadLetters: number;
  readonly oldestInFlightMs: number;
  /** Whether a barrier was passed in the time that is allowed, and in which. */
  readonly barrier: { readonly applied: boolean; readonly waitedMs: number } | undefined;
  readonly openTransactions: readonly OpenTransaction[];
  /** Tables that are being vacuumed, which holds up locks on them. */
  readonly vacuumed: readonly string[];
}

export interface SwitchLimits {
  /** How old the last validation may be. */
  readonly validatedWithinMs: number;
  readonly inFlightAgeMs: number;
  readonly transactionAgeMs: number;
  /** How long a barrier may take. */
  readonly lagMs: number;
}

export const defaultSwitchLimits: SwitchLimits = {
  validatedWithinMs: 24 * 60 * 60_000,
  inFlightAgeMs: 60_000,
  transactionAgeMs: 5_000,
  lagMs: 5_000,
};

/** Every reason not to change the direction now. */
export function refusals(facts: SwitchFacts, limits: SwitchLimits): Refusal[] {
  return [
    ...armingRefusals(facts),
    ...streamRefusals(facts.ending, facts.endingStream),
    ...(facts.armingLacks === undefined ? streamRefusals(facts.starting, facts.startingStream) : []),
    ...validationRefusals(facts, limits),
    ...workRefusals(facts, limits),
    ...serverRefusals(facts, limits),
  ];
}

function armingRefusals({ armingLacks }: SwitchFacts): Refusal[] {
  if (armingLacks === undefined) return [];
  const reason = `The other direction is not prepared: ${armingLacks}.`;
  return [{ name: 'not-armed', reason, remedy: 'Run `lockstep arm` as the owner of the tables, and read its report.' }];
}

function streamRefusals(direction: DirectionName, { slot, listenerSeenAtMs, nowMs }: StreamState): Refusal[] {
  const remedy = 'Start `lockstep listen` (it serves both directions), and look at `lockstep status`.';
  const refuse = (reason: string): Refusal[] => [{ name: 'listener-down', reason, remedy }];
  if (!slot || listenerSeenAtMs === undefined)
    return refuse(`No listener has captured the ${direction} direction yet.`);
  if (slot.walStatus === 'lost') return refuse(`The slot ${slot.name} of the ${direction} direction is lost.`);
  if (!slot.active) return refuse(`No listener is connected to the slot ${slot.name} of the ${direction} direction.`);
  const silentMs = nowMs - listenerSeenAtMs;
  if (silentMs <= listenerSilenceMs) return [];
  return refuse(`The listener of the ${direction} direction has given no sign of life for ${seconds(silentMs)}.`);
}

function validationRefusals({ validation }: SwitchFacts, { validatedWithinMs }: SwitchLimits): Refusal[] {
  const refuse = (reason: string, remedy: string): Refusal[] => [{ name: 'not-validated', reason, remedy }];
  const validate = 'Run `lockstep validate` to its end; it takes no locks.';
  if (!validation)
    return refuse(
      'Not every row has been compared since this direction became the active one, `arm` ran, or a step of the migration was applied, whichever was last.',
      validate,
    );
  if (validation.verdict === 'differs') {
    const reason = `The last validation found ${validation.rowsDrifted} rows that differ.`;
    return refuse(reason, 'Find out who wrote them, run `lockstep validate --repair`, then `lockstep validate`.');
  }
  if (validation.verdict !== 'agrees')
    return refuse('The last validation could not prove that every row agrees.', validate);
  if (validation.secondsAgo * 1000 <= validatedWithinMs) return [];
  return refuse(
    `The last validation began ${seconds(validation.secondsAgo * 1000)} ago; at most ${seconds(validatedWithinMs)} are allowed.`,
    validate,
  );
}

function workRefusals(facts: SwitchFacts, limits: SwitchLimits): Refusal[] {
  const found: Refusal[] = [];
  if (facts.unfinishedBackfills > 0) {
    const reason = `${facts.unfinishedBackfills} backfills of the ${facts.ending} direction have not ended.`;
    found.push({ name: 'backfill-unfinished', reason, remedy: 'Let them end: `lockstep backfill` goes on with them.' });
  }
  const scopes = facts.quarantine.reduce((sum, group) => sum + group.scopes, 0);
  if (scopes > 0) {
    const targets = facts.quarantine.map(({ target, scopes: count, message }) => `${target}: ${count}, ${message}`);
    const reason = `${scopes} scopes are in quarantine, so their rows are not on the other side (${targets.join('; ')}).`;
    found.push({ name: 'quarantine', reason, remedy: 'Mend their rows in the source, and run `lockstep retry`.' });
  }
  if (facts.deadLetters > 0) {
    const reason = `${facts.deadLetters} messages are in the dead-letter queue; the changes they name may not be applied.`;
    const remedy =
      'Read their attribute `reason`, mend that, derive everything with `lockstep backfill --forget-in-flight`, and purge that queue.';
    found.push({ name: 'dead-letters', reason, remedy });
  }
  if (facts.oldestInFlightMs > limits.inFlightAgeMs) {
    const reason = `A change that committed ${seconds(facts.oldestInFlightMs)} ago is still in flight.`;
    const remedy = 'Look at the appliers and at `lockstep status`; `lockstep wait` says when it is applied.';
    found.push({ name: 'in-flight-too-old', reason, remedy });
  } else if (facts.barrier && !facts.barrier.applied) {
    const reason = `What had been committed was not applied within ${seconds(limits.lagMs)}, so writers would wait too long.`;
    found.push({
      name: 'lag',
      reason,
      remedy: 'Wait for a quieter moment, or add appliers; `lockstep status` shows the lag.',
    });
  }
  return found;
}

function serverRefusals({ openTransactions, vacuumed }: SwitchFacts, { transactionAgeMs }: SwitchLimits): Refusal[] {
  const found: Refusal[] = [];
  const long = openTransactions.filter((transaction) => transaction.seconds * 1000 > transactionAgeMs);
  if (long.length > 0) {
    const named = long.map((transaction) => `${transaction.name}, open for ${seconds(transaction.seconds * 1000)}`);
    const reason = `Transactions that have written something are open for long: ${named.join('; ')}.`;
    const remedy =
      'Let them end, or end them (`SELECT pg_terminate_backend(pid)`, `ROLLBACK PREPARED`): all writers would wait for them.';
    found.push({ name: 'long-transaction', reason, remedy });
  }
  if (vacuumed.length > 0) {
    const reason = `A vacuum is running on ${vacuumed.join(', ')}, and holds up the lock on it.`;
    found.push({ name: 'vacuum', reason, remedy: 'Wait until it has ended (pg_stat_progress_vacuum).' });
  }
  return found;
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
