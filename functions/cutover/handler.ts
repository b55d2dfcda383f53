import type pg from 'pg';
import { z } from 'zod';
import type { Migration } from '../../engine/migration/contract.ts';
import { type SwitchOutcome, switchDirection } from '../../engine/phases/switch.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { parsePayload } from '../payload.ts';

/** What the caller asks for; documented in docs/cutover.md. */
const payloadSchema = z.strictObject({
  /** `cutover`: to the normalized tables. `rollback`: back to the legacy ones. */
  change: z.enum(['cutover', 'rollback']).default('cutover'),
  dryRun: z.boolean().default(false),
  maxPauseMs: z.int().min(50).max(60_000).default(5_000),
  validatedWithinSeconds: z
    .int()
    .min(1)
    .default(24 * 60 * 60),
});

export interface CutoverHandlerOptions {
  /** At least 3 connections. */
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** How many messages are in the dead-letter queue. */
  countDeadLetters(): Promise<number>;
  readonly telemetry: Telemetry;
}

/** What the handler needs to know of its invocation. */
export interface Invocation {
  getRemainingTimeInMillis(): number;
}

export type CutoverAnswer = SwitchOutcome & {
  readonly change: 'cutover' | 'rollback';
  /** True: invoke again with the same payload, to go on. */
  readonly continue: boolean;
};

/** Time kept for the change itself, after its pause. */
const reserveMs = 10_000;

/**
 * The manually invoked function. The same payload may be sent twice, and again when the caller did not wait for the
 * answer: what is done is answered with `already`. It never throws because the answer is no.
 *
 * @throws LockstepError LS_CONFIG for a payload that it does not understand; what `switchDirection` throws.
 */
export function createCutoverHandler(
  options: CutoverHandlerOptions,
): (payload: unknown, invocation: Invocation) => Promise<CutoverAnswer> {
  const { pool, migration, telemetry } = options;
  return async (payload, invocation) => {
    const { change, dryRun, maxPauseMs, validatedWithinSeconds } = parsePayload(payloadSchema, payload);
    const result = await switchDirection({
      pool,
      migration,
      change,
      maxPauseMs,
      deadLetters: await options.countDeadLetters(),
      telemetry,
      limits: { validatedWithinMs: validatedWithinSeconds * 1000 },
      dryRun,
      deadlineMs: Date.now() + invocation.getRemainingTimeInMillis() - maxPauseMs - reserveMs,
    });
    telemetry.log('info', change, { outcome: result.outcome });
    return { change, ...result, continue: result.outcome === 'continue' };
  };
}
