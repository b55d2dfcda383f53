import { median } from '../numbers.ts';

/** What is read of the machine, once a second. */
export interface Sample {
  readonly atMs: number;
  /** Changes that the application has committed since the beginning. */
  readonly committed: number;
  /** Age of the oldest change that is not applied. */
  readonly lagSeconds: number;
  /** WAL that the server keeps for the slot. */
  readonly keptBytes: number;
  readonly messages: number;
  readonly keys: number;
  /** Resident memory, by process. */
  readonly resident: Readonly<Record<string, number>>;
}

/** A time at one rate. */
export interface Phase {
  readonly name: string;
  /** Changes a second that were asked for. */
  readonly perSecond: number;
  readonly samples: readonly Sample[];
}

/** A lag below this is that of rounds, not of a backlog. */
const noBacklogSeconds = 1;

/**
 * Whether the lag has stayed where it was: what the last third shows against the first. A machine that cannot keep up has a
 * lag that grows with each second.
 */
export function isFlat(samples: readonly Sample[]): boolean {
  const third = Math.floor(samples.length / 3);
  if (third === 0) throw new RangeError('too few samples');
  const lag = (part: readonly Sample[]) => median(part.map(({ lagSeconds }) => lagSeconds));
  return lag(samples.slice(-third)) <= Math.max(noBacklogSeconds, 1.5 * lag(samples.slice(0, third)));
}

/** Changes a second that were committed. */
export function rateOf(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.atMs <= first.atMs) return 0;
  return ((last.committed - first.committed) * 1_000) / (last.atMs - first.atMs);
}

/** From the first sample until the backlog was gone for good; undefined: it is not. */
export function recoveredAfterSeconds(samples: readonly Sample[]): number | undefined {
  const last = samples.findLastIndex(({ lagSeconds }) => lagSeconds > noBacklogSeconds);
  const recovered = samples[last + 1];
  const first = samples[0];
  return recovered && first && (recovered.atMs - first.atMs) / 1_000;
}

/** So long without a backlog, and there is none any more. */
const calmSeconds = 60;

/** Whether there has been no backlog for so long that the recovery is over. */
export function hasRecovered(samples: readonly Sample[]): boolean {
  const last = samples.slice(-calmSeconds);
  return last.length === calmSeconds && last.every(({ lagSeconds }) => lagSeconds <= noBacklogSeconds);
}
