import { type Clock, systemClock } from '../clock.ts';
import { isConnectionLost } from '../connection.ts';
import { type ErrorCode, LockstepError } from '../errors.ts';
import { remedyFor, sqlState } from '../sqlstate.ts';
import type { Telemetry } from '../telemetry.ts';

export interface SuperviseOptions {
  /**
   * One life of the listener (`runListener` with `standby`), ending when the signal aborts. Called anew after each
   * outage, so that it may fetch the credentials again.
   *
   * @param onWell to be called when changes begin to flow, or when another is found to have the slot.
   */
  readonly run: (onWell: () => void) => Promise<void>;
  readonly signal: AbortSignal;
  readonly telemetry: Telemetry;
  /** The settings are known to be right: an error before the first life that is well is an outage, too. */
  readonly proven?: boolean;
  readonly clock?: Clock;
}

/** Mistakes at a first start; later a name that still leads to the former primary, or a service that does not answer. */
const passing: ReadonlySet<ErrorCode> = new Set(['LS_READ_REPLICA', 'LS_SECRET_UNREADABLE']);

/** Whether trying again can mend it, for one that has worked before. */
export function isOutage(error: unknown): boolean {
  // The catalogue says so of each; LS_SLOT_LOST among them, for the slot went between two looks at it, and the next makes another.
  if (!(error instanceof LockstepError)) return remedyFor(error, isConnectionLost(error)) === 'retry';
  switch (error.code) {
    // While a server comes back it is short of connections.
    case 'LS_DATABASE_REFUSED':
      return sqlState(error.cause) === '53300';
    // A handshake that was torn; a certificate that is not trusted stays so.
    case 'LS_DATABASE_TLS':
      return remedyFor(error.cause, false) === 'retry';
    default:
      return error.entry.retry === 'by itself' || passing.has(error.code);
  }
}

const firstPauseMs = 250;
const longestPauseMs = 10_000;

/** How long to wait before the next try, after so many failures in a row. */
export function pauseBeforeRetryMs(failures: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
}

/**
 * Keeps a listener running through outages: after one it takes the slot again, or stands by. An error before the first
 * change could flow, or another was seen to have the slot, is not an outage but a wrong setting, unless they are `proven`,
 * and ends it, as does every error that no repetition mends.
 *
 * @throws the error that ended it.
 */
export async function superviseListener(options: SuperviseOptions): Promise<void> {
  const { run, signal, telemetry, proven = false, clock = systemClock } = options;
  let hasBeenWell = proven;
  let failures = 0;
  while (!signal.aborted) {
    try {
      await run(() => {
        hasBeenWell = true;
        failures = 0;
      });
      return;
    } catch (error) {
      if (signal.aborted || !hasBeenWell || !isOutage(error)) throw error;
      failures += 1;
      const pauseMs = pauseBeforeRetryMs(failures);
      const code = error instanceof LockstepError ? error.code : sqlState(error);
      telemetry.log('warn', 'listener.outage', {
        code,
        reason: error instanceof Error ? error.message : String(error),
        failures,
        pauseMs,
      });
      await clock.pauseMs(pauseMs);
    }
  }
}
