import { LockstepError } from '../engine/errors.ts';

/** An environment variable that must be set. Throws LS_CONFIG. */
export function setting(name: string, env: NodeJS.ProcessEnv = process.env): string {
  const value = env[name];
  if (value === undefined || value === '') throw new LockstepError('LS_CONFIG', `${name} is not set.`);
  return value;
}
