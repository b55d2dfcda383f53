import { type BackfillProgress, readBackfill } from '../backfill/record.ts';
import { readInFlight } from '../ledger/watermark.ts';
import { formatLsn } from '../lsn.ts';
import type { DirectionName } from '../migration/contract.ts';
import { readArming } from '../phases/arming.ts';
import type { Phase } from '../phases/transitions.ts';
import type { Queryable } from '../text-query.ts';
import {
  type Finding,
  findings,
  lagSeconds,
  leftoverFindings,
  secondsUntilLost,
  type WalSample,
  walRate,
} from './health.ts';
import { readPhase } from './phase.ts';
import {
  type LastValidation,
  type QuarantineGroup,
  readLastValidation,
  readQuarantineGroups,
  readStream,
  type SlotState,
} from './queries.ts';
import { recoveryFindings } from './recovery.ts';

export interface Status {
  readonly phase: Phase;
  /** Whether the way back is prepared; after the end there is none. */
  readonly armed: boolean;
  readonly direction: DirectionName;
  readonly lag: {
    /** WAL that has been written and not been sent to the queue. */
    readonly bytes: number | null;
    /** Age of the oldest change that is not applied. */
    readonly seconds: number;
  };
  readonly slot: (SlotState & { readonly secondsUntilLost: number | null }) | null;
  readonly listener: { readonly seenSecondsAgo: number } | null;
  readonly inFlight: {
    readonly messages: number;
    readonly keys: number;
    readonly oldestLsn: string | null;
    readonly oldestAgeSeconds: number;
  };
  readonly backfill: readonly BackfillProgress[];
  readonly quarantine: readonly QuarantineGroup[];
  readonly validation: LastValidation | null;
  readonly findings: readonly Finding[];
}

/**
 * Reads where a migration stands. It changes nothing and takes no lock.
 *
 * @param before an earlier answer's sample: with it, the time until the slot is lost can be told.
 * @throws LockstepError LS_NOT_MIGRATED
 */
export async function readStatus(
  db: Queryable,
  direction: DirectionName,
  before?: WalSample,
): Promise<{ status: Status; sample: WalSample }> {
  const phase = await readPhase(db);
  const complete = phase === 'complete';
  const armed = !complete && (await readArming(db)).armed;
  const otherStream = armed || complete ? await readStream(db, opposite(direction)) : undefined;
  const stream = await readStream(db, direction);
  const inFlight = await readInFlight(db, direction);
  const quarantine = await readQuarantineGroups(db, direction);
  const backfill = await readBackfill(db, direction);
  const sample = { position: stream.walPosition, atMs: stream.nowMs };
  const untilLost = stream.slot && secondsUntilLost(stream.slot, walRate(before, sample));
  const status: Status = {
    phase,
    armed,
    direction,
    lag: { bytes: stream.slot?.unconfirmedBytes ?? null, seconds: lagSeconds(stream, inFlight.oldestAgeMs) },
    slot: stream.slot ? { ...stream.slot, secondsUntilLost: untilLost ?? null } : null,
    listener:
      stream.listenerSeenAtMs === undefined
        ? null
        : { seenSecondsAgo: Math.max(0, stream.nowMs - stream.listenerSeenAtMs) / 1000 },
    inFlight: {
      messages: inFlight.messages,
      keys: inFlight.keys,
      oldestLsn: inFlight.oldestLsn === undefined ? null : formatLsn(inFlight.oldestLsn),
      oldestAgeSeconds: inFlight.oldestAgeMs / 1000,
    },
    backfill,
    quarantine,
    validation: (await readLastValidation(db, direction)) ?? null,
    findings: complete
      ? leftoverFindings([stream, otherStream])
      : [...recoveryFindings(backfill), ...findings(stream, inFlight, quarantine, untilLost, otherStream)],
  };
  return { status, sample };
}

const opposite = (direction: DirectionName): DirectionName => (direction === 'forward' ? 'reverse' : 'forward');
