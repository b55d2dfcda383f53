import type { Target } from './numbers.ts';

/** How much data: `full` is what the design's table speaks of, `quick` is for a look, `smoke` only shows that it works. */
export type Size = 'full' | 'quick' | 'smoke';

export interface BenchContext {
  readonly size: Size;
  /** Tells people who wait what is being done. */
  readonly note: (text: string) => void;
}

/** What was measured of one side, one value for each turn. */
export interface Series {
  readonly label: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly against: string;
  readonly series: readonly Series[];
  /** What the target is about: the ratio of each turn, or the figure itself. */
  readonly figure: readonly number[];
  readonly figureUnit: string;
  /** Undefined: measured for its own sake. */
  readonly target: Target | undefined;
  /** What the figures need to be understood. */
  readonly notes?: readonly string[];
}

export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  /** Too long for the whole table: only with `--scale`, or by name. */
  readonly long?: true;
  run(context: BenchContext): Promise<Row[]>;
}

/** The value for this size. */
export function sized<T>({ size }: BenchContext, full: T, quick: T, smoke: T): T {
  return { full, quick, smoke }[size];
}
