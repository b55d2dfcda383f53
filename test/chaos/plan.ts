import type { Failpoint } from '../../engine/failpoint.ts';
import type { DirectionName } from '../../engine/migration/contract.ts';
import { type Random, randomFrom } from '../../engine/random.ts';

export const partNames = ['listener-1', 'listener-2', 'applier-1', 'applier-2'] as const;
export type PartName = (typeof partNames)[number];

/** Something that goes wrong at a moment of a schedule. Data, so that a failing schedule can be printed and repeated. */
export interface Fault {
  /** From the schedule's start. */
  readonly atMs: number;
  readonly kind: FaultKind;
  /** How long it lasts; what is over at once has 0. */
  readonly forMs: number;
  /** Part, link, role or direction that it befalls. */
  readonly on?: string;
}

/** Where the operator is killed in the first try to change the direction. */
export const killPlaces = [
  'switch.prepared',
  'switch.locked',
  'switch.drained',
  'switch.turned',
  'switch.before-commit',
  'switch.committed',
] as const satisfies readonly Failpoint[];

/** The operator begins to change the direction, and tries until it is done, whatever is broken meanwhile. */
export interface Turn {
  /** From the schedule's start, and not before the turn before it is done. */
  readonly atMs: number;
  readonly change: 'cutover' | 'rollback';
  readonly killedAt?: (typeof killPlaces)[number];
}

/** Begins, and ends, with legacy as the truth: a rollback that is not planned follows when all is well again. */
export interface Schedule {
  readonly seed: number;
  readonly durationMs: number;
  readonly faults: readonly Fault[];
  readonly turns: readonly Turn[];
}

interface Kind {
  /** How often it is drawn, relative to the others. */
  readonly weight: number;
  /** Longest duration; absent: over at once. */
  readonly forMs?: number;
  readonly on?: readonly string[];
}

/** The links from parts to the server. */
export const wireNames = ['listeners', 'appliers'] as const;
export const roleNames = ['lockstep_listener', 'lockstep_applier', 'lockstep_operator'] as const;
const directionNames = ['forward', 'reverse'] as const satisfies readonly DirectionName[];

/** Every way in which a schedule can go wrong. `faults.ts` says what each one does. */
export const kinds = {
  'part killed': { weight: 10, on: partNames },
  'part frozen': { weight: 8, forMs: 1_500, on: partNames },
  'all parts killed': { weight: 2 },
  'server stopped at once': { weight: 3, forMs: 400 },
  'server restarted': { weight: 2, forMs: 200 },
  'backend killed': { weight: 2 },
  'backend frozen': { weight: 3, forMs: 800 },
  'backends terminated': { weight: 6 },
  'network cut': { weight: 6, forMs: 800, on: wireNames },
  'network stalled': { weight: 5, forMs: 1_500, on: wireNames },
  'network slow': { weight: 4, forMs: 1_500, on: wireNames },
  'answers of the queue lost': { weight: 6, forMs: 1_200 },
  'requests to the queue lost': { weight: 4, forMs: 1_200 },
  'queue throttles': { weight: 4, forMs: 1_500 },
  'batches partly refused': { weight: 5, forMs: 2_000 },
  'messages duplicated': { weight: 5, forMs: 2_500 },
  'messages held back': { weight: 4, forMs: 3_000 },
  'messages shuffled': { weight: 6, forMs: 3_000 },
  'old messages again': { weight: 4 },
  'malformed messages': { weight: 3 },
  'messages dead-lettered': { weight: 3, forMs: 2_000 },
  'queue purged': { weight: 2 },
  'slot dropped': { weight: 2, on: directionNames },
  'slot invalidated': { weight: 2, on: directionNames },
  'password rotated': { weight: 3, on: roleNames },
} as const satisfies Record<string, Kind>;

export type FaultKind = keyof typeof kinds;

const all = Object.entries(kinds) as [FaultKind, Kind][];
const totalWeight = all.reduce((sum, [, { weight }]) => sum + weight, 0);

function drawKind(random: Random): [FaultKind, Kind] {
  let left = random.integer(totalWeight);
  for (const entry of all) {
    left -= entry[1].weight;
    if (left < 0) return entry;
  }
  throw new RangeError('the weights do not add up');
}

const turningShare = 0.35;
const rollbackShare = 0.6;
const killedShare = 0.6;
/** A try takes a while, with a comparison of every row before it. */
const turningMs = 2_000;

function drawTurns(random: Random, durationMs: number): Turn[] {
  const turn = (change: Turn['change'], atMs: number): Turn => ({
    atMs,
    change,
    ...(random.chance(killedShare) && { killedAt: random.pick(killPlaces) }),
  });
  const turns = [turn('cutover', random.integer(800))];
  if (random.chance(rollbackShare)) turns.push(turn('rollback', 1_000 + random.integer(durationMs - 1_000)));
  return turns;
}

/** The schedule of a seed: one to five faults within 1.5 to 3.5 seconds; in every third one the direction turns, within two more. */
export function planOf(seed: number): Schedule {
  const random = randomFrom(seed);
  const turning = random.chance(turningShare);
  const durationMs = 1_500 + random.integer(2_000) + (turning ? turningMs : 0);
  const faults = Array.from({ length: 1 + random.integer(5) }, (): Fault => {
    const [kind, { forMs, on }] = drawKind(random);
    return {
      atMs: random.integer(durationMs - 500),
      kind,
      forMs: forMs === undefined ? 0 : 100 + random.integer(forMs),
      ...(on && { on: random.pick(on) }),
    };
  });
  const turns = turning ? drawTurns(random, durationMs) : [];
  return { seed, durationMs, faults: faults.sort((a, b) => a.atMs - b.atMs), turns };
}
