import type { Client } from '@openfeature/server-sdk';
import type { Observe, Side } from '../events.ts';
import type { FlagKey } from '../flags/rule.ts';
import type { Settings } from '../flags/settings.ts';
import type { State } from '../flags/state.ts';
import type { Key } from '../legacy/keys.ts';
import type { Repositories } from '../repositories.ts';
import type { Positions } from './positions.ts';
import { mayRead, samePhase, truthIn } from './route.ts';
import type { Shadow } from './shadow.ts';

export interface ReadParts {
  readonly legacy: Repositories;
  readonly normalized: Repositories;
  readonly settings: Settings;
  readonly flags: Pick<Client, 'getBooleanValue'>;
  readonly positions: Positions;
  readonly shadow: Shadow;
  readonly observe: Observe;
  /** How long a flagged read waits for a write of the same key. */
  readonly waitMs: number;
  /** How far the normalized tables may be behind before legacy is read instead. */
  readonly mostBehindSeconds: number;
}

/** One read of the application. */
export interface Question<T> {
  readonly method: string;
  readonly arguments: readonly unknown[];
  /** The normalized side is asked for users who have all of them on. */
  readonly flags: readonly FlagKey[];
  /** What this process may have written of it. */
  readonly keys: readonly Key[];
  ask(repositories: Repositories): Promise<T>;
}

/** Answers a question from the side that is right for this user at this moment. */
export async function answer<T>(parts: ReadParts, userId: string | undefined, question: Question<T>): Promise<T> {
  const state = await parts.settings.current();
  const side = await chooseSide(parts, userId, question, state);
  const value = await askSide(parts, question, state, side);
  parts.shadow.offer({
    ...question,
    truth: truthIn(state.phase),
    percentage: state.phase === 'complete' ? 0 : state.shadowPercentage,
    answered: side,
    value,
  });
  return value;
}

/**
 * Once the normalized tables are the truth, nothing but them: legacy is a copy then, and a copy behind. Until then they are
 * the copy, and are asked by flag, when they are fit to be, and when they have what this process has written.
 */
async function chooseSide<T>(
  { flags, positions, observe, waitMs, mostBehindSeconds }: ReadParts,
  userId: string | undefined,
  { method, flags: needed, keys }: Question<T>,
  state: State,
): Promise<Side> {
  if (state.phase !== 'forward') return 'normalized';
  if (!mayRead(state, mostBehindSeconds)) return 'legacy';
  const context = userId === undefined ? {} : { targetingKey: userId };
  for (const flag of needed) if (!(await flags.getBooleanValue(flag, false, context))) return 'legacy';
  if (await positions.caughtUp(keys, waitMs).catch(() => false)) return 'normalized';
  observe({ event: 'behind', method });
  return 'legacy';
}

async function askSide<T>(parts: ReadParts, question: Question<T>, state: State, side: Side): Promise<T> {
  const { legacy, normalized, settings, observe } = parts;
  const { method } = question;
  if (side === 'legacy') {
    try {
      return await question.ask(legacy);
    } catch (error) {
      // Legacy may have been dropped a moment ago; otherwise the error is what there is to say.
      const now = await settings.read().catch(() => state);
      if (truthIn(now.phase) === 'legacy') throw error;
      return await question.ask(normalized);
    }
  }
  if (state.phase !== 'forward') return await question.ask(normalized);
  try {
    const value = await question.ask(normalized);
    if (value !== null) return value;
    observe({ event: 'missing', method });
  } catch (error) {
    observe({ event: 'fallback', method, error });
  }
  return await fallBack(parts, question, state);
}

/**
 * Erratum 27: legacy is asked for what the normalized side lacks only while legacy is the truth, in which case what was
 * deleted lacks there too. That it is still the truth is looked up after it has answered: if the phase is the same as
 * before, it was the truth all the while. If not, its answer may be a row that has been deleted since, and is not used.
 */
async function fallBack<T>(
  { legacy, normalized, settings }: ReadParts,
  question: Question<T>,
  state: State,
): Promise<T> {
  const value = await question.ask(legacy);
  const now = await settings.read();
  if (samePhase(state, now)) return value;
  return await question.ask(now.phase === 'forward' ? legacy : normalized);
}
