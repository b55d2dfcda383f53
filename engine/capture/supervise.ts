import { type Clock, systemClock } from '../clock.ts';
import { type ErrorCode, LockstepError } from '../errors.ts';
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

/** Outages; every other LockstepError asks for a person. */
const outages: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'LS_CONNECTION_LOST',
  'LS_DATABASE_UNREACHABLE',
  'LS_LISTENER_SUPERSEDED',
  'LS_LISTENER_RUNNING',
  'LS_SLOT_BLOCKED',
  // It went between two looks at it; the next one makes another.
  'LS_SLOT_LOST',
  'LS_WAL_SENDERS_EXHAUSTED',
]);

/** Whether trying again can mend it. */
export function isOutage(error: unknown): boolean {
  if (error instanceof LockstepError) return outages.has(error.code);
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
