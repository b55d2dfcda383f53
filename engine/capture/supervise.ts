import { type Clock, systemClock } from '../clock.ts';
import { LockstepError } from '../errors.ts';
import { remedyFor, sqlState } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';

export interface SuperviseOptions {
  /**
   * One life of the listener (`runListener` with `standby`), ending when the signal aborts. Called anew after each
   * outage, so that it may fetch the credentials again.
   *
   * @param onCapturing to be called when changes begin to flow.
   */
  readonly run: (onCapturing: () => void) => Promise<void>;
  readonly signal: AbortSignal;
  readonly telemetry: Telemetry;
  readonly clock?: Clock;
}

/** Whether trying again can mend it. */
export function isOutage(error: unknown): boolean {
  // The catalogue says so of each; LS_SLOT_LOST among them, for the slot went between two looks at it, and the next makes another.
  if (error instanceof LockstepError) return error.entry.retry === 'by itself';
  return remedyFor(error, false) === 'retry';
}

const firstPauseMs = 250;
const longestPauseMs = 10_000;

/** How long to wait before the next try, after so many failures in a row. */
export function pauseBeforeRetryMs(failures: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
}

/**
 * Keeps a listener running through outages: after one it takes the slot again. An error before the first change could
 * flow is not an outage but a wrong setting, and ends it, as does every error that no repetition mends.
 *
 * @throws the error that ended it.
 */
export async function superviseListener(options: SuperviseOptions): Promise<void> {
  const { run, signal, telemetry, clock = systemClock } = options;
  let hasCaptured = false;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await run(() => {
        hasCaptured = true;
        failures = 0;
      });
      return;
    } catch (error) {
      if (signal.aborted || !hasCaptured || !isOutage(error)) throw error;
      failures += 1;
      const pauseMs = pauseBeforeRetryMs(failures);
      const code = error instanceof LockstepError ? error.code : sqlState(error);
      telemetry.log('warn', 'listener.outage', {
        code,
        message: error instanceof Error ? error.message : String(error),
        failures,
        pauseMs,
      });
      await clock.pauseMs(pauseMs);
    }
  }
}
