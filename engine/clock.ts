import { setTimeout as pause } from 'node:timers/promises';

/** Time, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  pauseMs(durationMs: number): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  pauseMs: async (durationMs) => {
    await pause(durationMs);
  },
};
