import type { Phase } from './transitions.ts';

/** Prefix of the logical message that announces a change of the phase in the WAL. */
export const phaseMessagePrefix = 'lockstep.phase';

/** The phase that a logical message announces; undefined for every other message. */
export function announcedPhase(prefix: string, content: Uint8Array): Phase | undefined {
  if (prefix !== phaseMessagePrefix) return undefined;
  return (JSON.parse(Buffer.from(content).toString()) as { to: Phase }).to;
}
