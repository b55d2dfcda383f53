import type { BackfillProgress } from '../../engine/backfill/record.ts';
import { listenerSilenceMs } from '../../engine/status/health.ts';
import type { Status } from '../../engine/status/status.ts';
import { checkMetric, statusMetrics } from '../../infra/contract.ts';
import type { Facts } from './facts.ts';

/** What one look leaves for the next one; a new instance of the function has none. */
export interface Look {
  readonly atMs: number;
  /** Position that the slot had confirmed, and when it was first seen there. */
  readonly confirmed: { readonly lsn: string; readonly sinceMs: number } | undefined;
}

export interface Seen {
  readonly status: Status;
  readonly facts: Facts;
  readonly nowMs: number;
  readonly before: Look | undefined;
  readonly queryP95Ms: number | undefined;
}

/** The state as numbers, by metric name; what does not apply (a limit that is not set, no backfill) is left out. */
export function metricsOf({ status, facts, nowMs, before, queryP95Ms }: Seen): Record<string, number> {
  const { slot, inFlight, quarantine, backfill } = status;
  const running = runningBackfill(backfill, nowMs);
  const values: Record<string, number | undefined> = {
    [statusMetrics.published]: 1,
    [statusMetrics.listenerStalled]: Math.max(silenceMs(status, facts), stillMs(status, nowMs, before)),
    [statusMetrics.slotLag]: slot?.unconfirmedBytes,
    [statusMetrics.slotLostIn]: lostInMs(status),
    [statusMetrics.oldestInFlight]: inFlight.oldestAgeSeconds * 1000,
    [statusMetrics.quarantinedScopes]: quarantine.reduce((sum, { scopes }) => sum + scopes, 0),
    [statusMetrics.backfillAge]: running?.ageMs,
    [statusMetrics.backfillProjected]: running?.projectedMs,
    [statusMetrics.validationAge]: facts.validation?.startedAgoMs ?? facts.phaseForMs,
    [statusMetrics.validationDiffers]: facts.validation && Number(!facts.validation.agrees),
    [statusMetrics.driftedRows]: facts.validation?.driftedRows,
    [statusMetrics.queryP95]: queryP95Ms,
  };
  for (const { level, name, values: found, outcome } of facts.checks) {
    if (level !== 'counts') continue;
    values[checkMetric(name)] = outcome === 'pass' ? 0 : Math.abs(Number(found.difference ?? 1)) || 1;
  }
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}

/** To be handed to the next `metricsOf`. */
export function lookOf({ status, nowMs, before }: Omit<Seen, 'facts' | 'queryP95Ms'>): Look {
  const lsn = status.slot?.confirmedLsn;
  const same = before?.confirmed !== undefined && before.confirmed.lsn === lsn;
  return { atMs: nowMs, confirmed: lsn === undefined ? undefined : same ? before.confirmed : { lsn, sinceMs: nowMs } };
}

/** A listener that has never run is silent since it could have begun. */
function silenceMs({ listener }: Status, { phaseForMs }: Facts): number {
  const silentMs = listener ? listener.seenSecondsAgo * 1000 : phaseForMs;
  return silentMs > listenerSilenceMs ? silentMs : 0;
}

/** How long the confirmed position has stood still; with nothing to confirm it may. */
function stillMs({ slot }: Status, nowMs: number, before: Look | undefined): number {
  if (!slot || slot.unconfirmedBytes === 0 || before?.confirmed?.lsn !== slot.confirmedLsn) return 0;
  return nowMs - before.confirmed.sinceMs;
}

/** A slot that was there and is gone is as lost as one that the server has invalidated. */
function lostInMs({ slot, listener }: Status): number | undefined {
  if (!slot) return listener ? 0 : undefined;
  if (slot.walStatus === 'lost') return 0;
  return slot.secondsUntilLost === null ? undefined : slot.secondsUntilLost * 1000;
}

/** The oldest run that has not ended. Targets are done one after the other, so the share done is that of all scopes. */
function runningBackfill(targets: readonly BackfillProgress[], nowMs: number) {
  const [first] = targets.filter(({ finishedAt }) => finishedAt === null);
  if (!first) return undefined;
  const run = targets.filter(({ id }) => id === first.id);
  const done = run.reduce((sum, { scopesDone }) => sum + scopesDone, 0);
  const all = run.reduce((sum, target) => sum + Math.max(target.scopesEstimated, target.scopesDone), 0);
  const ageMs = Math.max(0, nowMs - Date.parse(first.requestedAt));
  return { ageMs, projectedMs: done > 0 ? (ageMs * all) / done : undefined };
}
