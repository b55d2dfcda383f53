import { setTimeout as pause } from 'node:timers/promises';

/** Time, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Ends early, without an error, when the signal is aborted. */
  pauseMs(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  pauseMs: (durationMs, signal) => pause(durationMs, undefined, { ...(signal && { signal }) }).catch(() => undefined),
};
