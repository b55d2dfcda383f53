import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Default 30,000: no test waits for it, and a machine with other work on it may be slow. */
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/**
 * Asks until the condition answers something true, and returns that. Throws at the deadline, with the last error of
 * the condition as its cause, if it threw.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, intervalMs = 10 }: EventuallyOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const answer = await condition();
      if (answer) return answer as Exclude<T, false | null | undefined | 0 | ''>;
    } catch (error) {
      cause = error;
    }
    if (Date.now() >= deadline) {
      throw new Error(`Not within ${timeoutMs} ms: ${condition.toString().slice(0, 200)}`, { cause });
    }
    await delay(intervalMs);
  }
}
