import type pg from 'pg';
import { z } from 'zod';
import type { Migration } from '../../engine/migration/contract.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { armable } from '../../engine/phases/arm.ts';
import { type Lossiness, readLossiness } from '../../engine/phases/lossiness.ts';
import { type SyncOutcome, syncBack } from '../../engine/phases/sync.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import type { Telemetry } from '../../engine/telemetry.ts';
import { parsePayload } from '../payload.ts';

/** What the caller asks for; documented in docs/cutover.md. */
const payloadSchema = z.strictObject({
  /** Derive every legacy row again, not only what has changed. */
  all: z.boolean().default(false),
  /** Only tell what would be written and what cannot be represented (`lockstep rollback plan`). */
  dryRun: z.boolean().default(false),
});

export interface RollbackSyncOptions {
  readonly pool: pg.Pool;
  readonly migration: Migration;
  readonly telemetry: Telemetry;
}

/** What the handler needs to know of its invocation. */
export interface Invocation {
  getRemainingTimeInMillis(): number;
}

export type RollbackSyncAnswer =
  | (SyncOutcome & { readonly continue: boolean })
  | (Lossiness & { readonly outcome: 'planned'; readonly continue: false });

/** Time kept for the answer, and for a chunk that is just being committed. */
const reserveMs = 5_000;

/**
 * The manually invoked function: brings the legacy tables up to date. The same payload may be sent twice, and again when
 * the caller did not wait for the answer: a run that has not ended is gone on with.
 *
 * @throws LockstepError LS_CONFIG for a payload that it does not understand; what `syncBack` throws.
 */
export function createRollbackSyncHandler({
  pool,
  migration,
  telemetry,
}: RollbackSyncOptions): (payload: unknown, invocation: Invocation) => Promise<RollbackSyncAnswer> {
  return async (payload, invocation) => {
    const { all, dryRun } = parsePayload(payloadSchema, payload);
    if (dryRun) {
      const { reverse } = armable(migration);
      const loaded = await loadDirection(pool, 'reverse', reverse);
      const lossiness = await readLossiness(pool, loaded, reverse, await activeDirection(pool));
      return { outcome: 'planned', ...lossiness, continue: false };
    }
    const deadlineMs = Date.now() + invocation.getRemainingTimeInMillis() - reserveMs;
    const result = await syncBack({ pool, migration, everything: all, deadlineMs, telemetry });
    telemetry.log('info', 'rollback sync', { outcome: result.outcome, run: result.run });
    return { ...result, continue: result.outcome === 'continue' };
  };
}
