/** Runs work and returns how long it took, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/**
 * Asks until the answer is yes, every `everyMs`, and returns when that was (`performance.now()`).
 *
 * @throws Error with `what` when it takes longer than `timeoutMs`, and whatever `broken` rejects with.
 */
export async function until(
  what: string,
  ask: () => Promise<boolean>,
  { everyMs = 20, timeoutMs = 600_000, broken }: { everyMs?: number; timeoutMs?: number; broken?: Promise<never> } = {},
): Promise<number> {
  const startedMs = performance.now();
  while (performance.now() - startedMs < timeoutMs) {
    const answer = broken === undefined ? ask() : Promise.race([broken, ask()]);
    if (await answer) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
}
