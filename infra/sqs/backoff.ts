import type { Clock } from '../../engine/clock.ts';

const firstMs = 50;
const longestMs = 5_000;

/**
 * How long to wait before attempt `attempt` (1 is the first repetition), with full jitter:
 * https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 * @param random from 0 to 1.
 */
export function backoffMs(attempt: number, random: number): number {
  return Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * random;
}

/** Waits, and throws the signal's reason as soon as it aborts. */
export async function pause(clock: Pick<Clock, 'pauseMs'>, durationMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([clock.pauseMs(durationMs), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
