import type pg from 'pg';
import { paceOf, paceOfRun } from '../engine/backfill/progress.ts';
import { nameOf } from '../engine/identifiers.ts';
import { readInFlightBySource } from '../engine/ledger/watermark.ts';
import type { Direction, DirectionName, Migration } from '../engine/migration/contract.ts';
import { type QuarantineReason, readQuarantineReasons } from '../engine/quarantine/groups.ts';
import { readActivity, type TableActivity } from '../engine/status/activity.ts';
import type { WalSample } from '../engine/status/health.ts';
import { type PastEvent, readHistory } from '../engine/status/history.ts';
import { readStatus, type Status } from '../engine/status/status.ts';
import { readValidatedTargets, type ValidatedTarget } from '../engine/status/targets.ts';
import type { Queryable } from '../engine/text-query.ts';
import { readTrend } from '../engine/validate/read-report.ts';
import { folded, type Observed, observedEvents, rememberedEvent, withEvents } from './events.ts';
import type { PageEvent, ReportView, Sample, Snapshot, TargetView } from './model.ts';
import { type Counters, ratesOf, withReading } from './rates.ts';
import { nextOf, stationsOf, verdictOf } from './verdict.ts';

export interface ReaderOptions {
  readonly pool: pg.Pool;
  readonly migration: Migration;
  /** Host and database, as people name it. */
  readonly database: string;
}

/** What one reading brings. */
export interface Reading {
  readonly snapshot: Omit<Snapshot, 'cost'>;
  readonly sample: Sample;
  /** How many statements it sent. */
  readonly statements: number;
}

export interface Reader {
  /** `details`: whether what changes slowly is read as well; the first reading always reads it. */
  read(details: boolean): Promise<Reading>;
  /** Tells something that the database does not know. */
  note(event: Omit<PageEvent, 'id'>): void;
}

interface Details {
  readonly quarantine: readonly QuarantineReason[];
  readonly validated: readonly ValidatedTarget[];
  readonly reports: readonly ReportView[];
  readonly history: readonly PastEvent[];
}

/** Of each kind that the database remembers. */
const historyLength = 20;
const reportsShown = 12;

/**
 * Reads what the page shows. It takes no lock, writes nothing, and reads no table of the application: how many rows
 * those have are the server's estimates and the last validation's counts.
 */
export function createReader({ pool, migration, database }: ReaderOptions): Reader {
  let walBefore: WalSample | undefined;
  let before: Observed | undefined;
  let counters: Counters[] = [];
  let details: Details | undefined;
  let name: DirectionName = 'forward';
  let turned = false;
  let events: PageEvent[] = [];
  let noted = 0;
  /** The phase may have turned since the last reading; what was read of the other direction is of no use then. */
  const readStatusOfPhase = async (db: Queryable) => {
    const read = await readStatus(db, name, walBefore);
    walBefore = read.sample;
    const active = read.status.phase === 'reverse' && migration.reverse ? 'reverse' : 'forward';
    if (active === name) return read;
    name = active;
    turned = true;
    return await readStatus(db, name, walBefore);
  };
  return {
    async read(wantsDetails) {
      const { db, sent } = counting(pool);
      const { status, sample: wal } = await readStatusOfPhase(db);
      const direction = migration[name] ?? migration.forward;
      const inFlight = await readInFlightBySource(db, name);
      const activity = await readActivities(db, direction);
      if (!details || wantsDetails || turned) details = await readDetails(db, name);
      if (turned) counters = [];
      turned = false;
      counters = withReading(counters, countersOf(activity, wal));
      const observed: Observed = { ...status, atMs: wal.atMs };
      events = withEvents(events, [
        ...details.history.map(rememberedEvent),
        ...(before ? observedEvents(before, observed) : []),
      ]);
      before = observed;
      const sample: Sample = {
        atMs: wal.atMs,
        lagSeconds: status.lag.seconds,
        ...ratesOf(counters),
        ...amountsOf(status),
      };
      const targets = targetsOf(direction, status, details, inFlight, activity.targets, wal.atMs);
      const snapshot = {
        ...snapshotOf(status, wal.atMs),
        migration: migration.name,
        database,
        targets,
        quarantine: details.quarantine,
        reports: details.reports,
        events: folded(events),
      };
      return { snapshot, sample, statements: sent() };
    },
    note(event) {
      noted += 1;
      events = withEvents(events, [{ id: `noted:${noted}`, ...event }]);
    },
  };
}

/** Passes statements on and counts them. */
function counting(pool: pg.Pool): { db: Queryable; sent(): number } {
  let count = 0;
  const query = (...statement: Parameters<typeof pool.query>) => {
    count += 1;
    return pool.query(...statement);
  };
  return { db: { query } as unknown as Queryable, sent: () => count };
}

async function readActivities(db: Queryable, { sources, targets }: Direction) {
  const all = await readActivity(
    db,
    [...sources, ...targets].map(({ relation }) => relation),
  );
  return { sources: all.slice(0, sources.length), targets: all.slice(sources.length) };
}

async function readDetails(db: Queryable, name: DirectionName): Promise<Details> {
  const trend = await readTrend(db, name);
  return {
    quarantine: await readQuarantineReasons(db, name),
    validated: await readValidatedTargets(db, name),
    reports: trend
      .slice(-reportsShown)
      .reverse()
      .map(({ run, startedAt, verdict, compared, drift, quarantinedRows, spentMs }) => {
        return { run, startedAtMs: Date.parse(startedAt), verdict, compared, drift, quarantinedRows, spentMs };
      }),
    history: await readHistory(db, name, historyLength),
  };
}

function countersOf(
  activity: { readonly sources: readonly TableActivity[]; readonly targets: readonly TableActivity[] },
  wal: WalSample,
): Counters {
  const sum = (tables: readonly TableActivity[]) => tables.reduce((total, { rowsWritten }) => total + rowsWritten, 0);
  return {
    atMs: wal.atMs,
    sourceRows: sum(activity.sources),
    targetRows: sum(activity.targets),
    walPosition: wal.position,
  };
}

function amountsOf({ inFlight, slot }: Status) {
  return {
    inFlightKeys: inFlight.keys,
    inFlightMessages: inFlight.messages,
    unsentBytes: slot?.unconfirmedBytes ?? null,
    retainedBytes: slot?.retainedBytes ?? null,
  };
}

function snapshotOf(status: Status, atMs: number) {
  const unfinished = status.backfill.filter(({ finishedAt }) => finishedAt === null);
  const { phase, direction, findings, lag, slot, listener, inFlight } = status;
  return {
    atMs,
    phase,
    direction,
    verdict: verdictOf(status, atMs),
    next: nextOf(status),
    stations: stationsOf(status),
    findings,
    lag,
    slot,
    listener,
    inFlight,
    backfill:
      unfinished.length === 0
        ? null
        : {
            ...paceOfRun(unfinished, atMs),
            paused: unfinished.some(({ paused }) => paused),
            reason: unfinished[0]?.reason ?? '',
          },
  };
}

function targetsOf(
  direction: Direction,
  status: Status,
  details: Details,
  inFlight: ReadonlyMap<string, number>,
  activity: readonly TableActivity[],
  nowMs: number,
): TargetView[] {
  return direction.targets.map(({ name, relation, scopesOf }, index) => {
    const validated = details.validated.find(({ target }) => target === name);
    return {
      target: name,
      table: nameOf(relation),
      presentEstimate: activity[index]?.rowsEstimated ?? 0,
      validated: validated
        ? {
            atMs: validated.validatedAtMs,
            expected: validated.expected,
            present: validated.present,
            drifted: validated.drifted,
          }
        : null,
      inFlightKeys: Object.keys(scopesOf).reduce((sum, source) => sum + (inFlight.get(source) ?? 0), 0),
      quarantinedScopes: status.quarantine
        .filter(({ target }) => target === name)
        .reduce((sum, { scopes }) => sum + scopes, 0),
      backfill: backfillOf(status, name, nowMs),
    };
  });
}

function backfillOf({ backfill }: Status, name: string, nowMs: number): TargetView['backfill'] {
  const target = backfill.findLast((progress) => progress.target === name);
  if (!target) return null;
  const { share, scopesPerSecond, secondsLeft } = paceOf(target, nowMs);
  const { targetFinishedAt, paused, startedAt, scopesDone, rowsWritten } = target;
  const state = targetFinishedAt !== null ? 'done' : paused ? 'paused' : startedAt !== null ? 'running' : 'waiting';
  return {
    share,
    state,
    scopesDone,
    rowsWritten,
    scopesPerSecond: scopesPerSecond ?? null,
    secondsLeft: secondsLeft ?? null,
  };
}
