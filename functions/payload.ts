import type { z } from 'zod';
import { LockstepError } from '../engine/errors.ts';

/** What is quoted of a payload; it may have any length. */
const mostCharacters = 300;

/**
 * Reads the payload of a function that people invoke; none at all asks for the defaults.
 *
 * @throws LockstepError LS_CONFIG, which says at which field it is not understood.
 */
export function parsePayload<T>(schema: z.ZodType<T>, payload: unknown): T {
  const parsed = schema.safeParse(payload ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const flaw = `at "${issue?.path.join('.')}" ${issue?.message}`.slice(0, mostCharacters);
  throw new LockstepError('LS_CONFIG', `The payload is not understood: ${flaw}.`);
}
