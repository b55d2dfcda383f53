import type { QuarantineGroup, SlotState, StreamState } from './queries.ts';

/** A position of the WAL and when it was read; two of them give the rate at which WAL is written. */
export interface WalSample {
  readonly position: bigint;
  readonly atMs: number;
}

export interface Finding {
  /** `broken`: synchronization has stopped or data is at risk. `attention`: it goes on, but someone should look. */
  readonly level: 'broken' | 'attention';
  /** What is the matter and what to do, in one sentence each. */
  readonly text: string;
}

/** The listener renews its sign of life every 5 s; after three that are missing it counts as gone. */
export const listenerSilenceMs = 15_000;

/** Bytes of WAL per second between two samples; undefined when there is no time between them. */
export function walRate(before: WalSample | undefined, now: WalSample): number | undefined {
  if (!before || now.atMs <= before.atMs) return undefined;
  return (Number(now.position - before.position) * 1000) / (now.atMs - before.atMs);
}

/** Seconds until the slot can be lost if it is not confirmed further; undefined when it cannot, or nothing is known. */
export function secondsUntilLost(slot: SlotState, bytesPerSecond: number | undefined): number | undefined {
  if (slot.safeWalBytes === null || bytesPerSecond === undefined || bytesPerSecond <= 0) return undefined;
  return Math.max(0, slot.safeWalBytes) / bytesPerSecond;
}

/**
 * How long ago the oldest change that is not applied yet committed. What is in flight says so exactly; what has not been
 * read from the WAL cannot, so a listener that is gone counts from when it was last seen.
 */
export function lagSeconds(stream: StreamState, oldestInFlightMs: number): number {
  const silentMs = stream.listenerSeenAtMs === undefined ? 0 : stream.nowMs - stream.listenerSeenAtMs;
  const unreadMs = silentMs > listenerSilenceMs && !stream.slot?.active ? silentMs : 0;
  return Math.max(oldestInFlightMs, unreadMs, 0) / 1000;
}

/** What is wrong, worst first. */
export function findings(
  stream: StreamState,
  inFlight: { readonly messages: number; readonly oldestAgeMs: number },
  quarantine: readonly QuarantineGroup[],
  untilLost: number | undefined,
  /** Of the direction that is not active, once the way back is armed: its slot must be moved on as well. */
  otherStream?: StreamState,
): Finding[] {
  const found = [
    ...slotFindings(stream),
    ...(otherStream ? slotFindings(otherStream) : []),
    ...durationFindings(inFlight, untilLost),
  ];
  const scopes = quarantine.reduce((sum, group) => sum + group.scopes, 0);
  if (scopes > 0) {
    const text = `${scopes} scopes are in quarantine. Mend their data; a merge that succeeds releases them, and \`lockstep retry\` asks for one.`;
    found.push({ level: 'attention', text });
  }
  return found.sort((a, b) => (a.level === b.level ? 0 : a.level === 'broken' ? -1 : 1));
}

/** After the end nothing is captured, so that the only thing that can be wrong is a slot that is still there. */
export function leftoverFindings(streams: readonly (StreamState | undefined)[]): Finding[] {
  return streams.flatMap((stream): Finding[] => {
    if (!stream?.slot) return [];
    const text = `The slot ${stream.slot.name} is still there although the migration is complete, and keeps WAL. Stop the listener, then run \`lockstep complete\` again, which drops it.`;
    return [{ level: 'broken', text }];
  });
}

/** What is wrong with a slot and its listener. */
export function slotFindings({ slot, slotName, listenerSeenAtMs }: StreamState): Finding[] {
  if (slotName === undefined || listenerSeenAtMs === undefined) {
    return [{ level: 'attention', text: 'The listener has never run: nothing is captured. Start `lockstep listen`.' }];
  }
  if (!slot) {
    return [
      {
        level: 'broken',
        text: `The slot ${slotName} is gone: changes since then were missed. Start \`lockstep listen\`: it makes a new one, and everything is derived again.`,
      },
    ];
  }
  if (slot.walStatus === 'lost') {
    const reason = slot.invalidationReason ? ` (${slot.invalidationReason})` : '';
    return [
      {
        level: 'broken',
        text: `The slot ${slot.name} is lost${reason}: changes since then were missed. \`lockstep listen\` makes a new one, and everything is derived again.`,
      },
    ];
  }
  if (!slot.active) {
    return [
      {
        level: 'broken',
        text: `No listener is connected to the slot ${slot.name}, and WAL piles up behind it. Start \`lockstep listen\`.`,
      },
    ];
  }
  if (slot.walStatus === 'unreserved') {
    return [
      {
        level: 'broken',
        text: `The slot ${slot.name} is about to be lost at the next checkpoint. Raise max_slot_wal_keep_size now.`,
      },
    ];
  }
  return [];
}

const oldMessageMs = 5 * 60_000;
const soonLostSeconds = 60 * 60;

function durationFindings(
  inFlight: { readonly messages: number; readonly oldestAgeMs: number },
  untilLost: number | undefined,
): Finding[] {
  const found: Finding[] = [];
  if (untilLost !== undefined && untilLost < soonLostSeconds) {
    const text = `At this rate of writes the slot is lost in ${Math.round(untilLost / 60)} min unless the listener catches up. Raise max_slot_wal_keep_size.`;
    found.push({ level: 'attention', text });
  }
  if (inFlight.messages > 0 && inFlight.oldestAgeMs > oldMessageMs) {
    const minutes = Math.round(inFlight.oldestAgeMs / 60_000);
    const text = `A message has been in flight for ${minutes} min. Look at the appliers' logs and the dead-letter queue.`;
    found.push({ level: 'broken', text });
  }
  return found;
}
