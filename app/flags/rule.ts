import { createHash } from 'node:crypto';
import { z } from 'zod';

/** The flags of this migration, by their keys in system_settings. */
export const flagKeys = ['use_normalized_subscriptions', 'use_unified_media', 'use_enhanced_generation_jobs'] as const;
export type FlagKey = (typeof flagKeys)[number];

/**
 * The value of a flag in system_settings: `true`, `false`, or
 * `{"state": "off" | "on" | "percentage", "percentage": 10, "allow": [user ids], "deny": [user ids]}`.
 */
const rule = z.strictObject({
  state: z.enum(['off', 'on', 'percentage']),
  percentage: z.number().min(0).max(100).default(0),
  allow: z.array(z.string()).default([]),
  deny: z.array(z.string()).default([]),
});
export type FlagRule = z.infer<typeof rule>;

const off: FlagRule = { state: 'off', percentage: 0, allow: [], deny: [] };

/** Undefined when the value is not understood. */
export function parseRule(value: unknown): FlagRule | undefined {
  if (typeof value === 'boolean') return { ...off, state: value ? 'on' : 'off' };
  return rule.safeParse(value).data;
}

export interface Decision {
  readonly value: boolean;
  /** In OpenFeature's words. */
  readonly reason: 'STATIC' | 'TARGETING_MATCH' | 'SPLIT';
}

/**
 * Who is denied has the flag off and who is allowed has it on, whatever its state; to be denied weighs more. A percentage
 * means the same users each time, in every process, and a higher one means the same and others. Without a user it is off.
 */
export function decide(
  flag: string,
  { state, percentage, allow, deny }: FlagRule,
  userId: string | undefined,
): Decision {
  if (userId !== undefined && deny.includes(userId)) return { value: false, reason: 'TARGETING_MATCH' };
  if (userId !== undefined && allow.includes(userId)) return { value: true, reason: 'TARGETING_MATCH' };
  if (state !== 'percentage') return { value: state === 'on', reason: 'STATIC' };
  return { value: userId !== undefined && placeOf(flag, userId) < percentage, reason: 'SPLIT' };
}

/** From 0 up to but not including 100. The flag is part of it, so that not the same users come first with every flag. */
function placeOf(flag: string, userId: string): number {
  const hash = createHash('sha256').update(`${flag}\0${userId}`).digest();
  return (hash.readUInt32BE(0) / 2 ** 32) * 100;
}
