import type { DirectionName } from '../migration/contract.ts';

/** One validation as it stands in lockstep.validation. */
export interface Run {
  readonly id: string;
  readonly direction: DirectionName;
  readonly targets: readonly string[];
  readonly samplePercent: number | undefined;
}
