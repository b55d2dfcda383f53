import type { SwitchContext } from './attempt.ts';
import type { Refusal } from './findings.ts';
import { compareTouched, countTouched } from './touched.ts';

/** Why the locks are not asked for. */
export type Unprepared =
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[] }
  /** The deadline came first. */
  | { readonly outcome: 'continue'; readonly scopesLeft: number };

/** So many scopes may be left for the moment in which writers wait. */
const fewScopes = 500;
const askAgainMs = 100;

/**
 * Compares what was touched since the last validation, while nobody waits, until little is left.
 *
 * @returns undefined: the locks may be asked for.
 */
export async function prepare(
  { client, pool, ending }: SwitchContext,
  deadlineMs: number,
): Promise<Unprepared | undefined> {
  for (;;) {
    const { compared, agreed, forgotten } = await compareTouched(client, ending);
    const scopesLeft = await countTouched(pool, ending.name);
    // What does not agree at once is on its way, or has drifted: the comparison under the locks will tell.
    if (compared === 0 || agreed === 0) return scopesLeft <= fewScopes ? undefined : tooMuch(scopesLeft);
    const timeIsUp = Date.now() >= deadlineMs;
    if (scopesLeft <= fewScopes && (compared < fewScopes || timeIsUp)) return undefined;
    if (timeIsUp) return { outcome: 'continue', scopesLeft };
    // All of them are being written.
    if (forgotten === 0) await new Promise((resolve) => setTimeout(resolve, askAgainMs));
  }
}

function tooMuch(scopesLeft: number): Unprepared {
  const reason = `${scopesLeft} scopes have been written since they were last compared, and do not agree yet.`;
  const remedy = 'Run `lockstep wait` and `lockstep validate`.';
  return { outcome: 'refused', refusals: [{ name: 'too-much-to-compare', reason, remedy }] };
}
