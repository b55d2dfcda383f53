import type { Pace } from '../engine/backfill/progress.ts';
import type { DirectionName } from '../engine/migration/contract.ts';
import type { QuarantineReason } from '../engine/quarantine/groups.ts';
import type { Finding } from '../engine/status/health.ts';
import type { Status } from '../engine/status/status.ts';

/** How well something is, from best to worst. `working`: well, and not done yet. */
export type Level = 'well' | 'working' | 'attention' | 'broken';

/** The page's first line: what one has to know when one has time for nothing else. */
export interface Verdict {
  readonly level: Level;
  readonly title: string;
  readonly text: string;
}

/** One reading, for the plots. Rates are over the last seconds; null where there was no reading before. */
export interface Sample {
  /** Of the server's clock, in milliseconds since 1970. */
  readonly atMs: number;
  readonly lagSeconds: number;
  /** Rows that the application has changed in the sources. */
  readonly sourceRowsPerSecond: number | null;
  /** Rows written in the targets, by merges and backfills; whoever else writes there is counted too. */
  readonly targetRowsPerSecond: number | null;
  readonly walBytesPerSecond: number | null;
  readonly inFlightKeys: number;
  readonly inFlightMessages: number;
  /** WAL that has not been sent to the queue. */
  readonly unsentBytes: number | null;
  readonly retainedBytes: number | null;
}

export interface TargetView {
  readonly target: string;
  readonly table: string;
  /** The server's estimate of the rows that it has now. */
  readonly presentEstimate: number;
  /** From the last validation that has compared all of it; null before there was one. */
  readonly validated: {
    readonly atMs: number;
    readonly expected: number;
    readonly present: number;
    readonly drifted: number;
  } | null;
  /** Rows of its sources in messages that are not applied yet. */
  readonly inFlightKeys: number;
  readonly quarantinedScopes: number;
  /** Null: it was not part of the last run. */
  readonly backfill: {
    readonly share: number;
    readonly state: 'waiting' | 'running' | 'paused' | 'done';
    readonly scopesDone: number;
    readonly rowsWritten: number;
    readonly scopesPerSecond: number | null;
    readonly secondsLeft: number | null;
  } | null;
}

export interface PageEvent {
  readonly id: string;
  readonly atMs: number;
  readonly level: Level;
  readonly text: string;
}

export interface ReportView {
  readonly run: string;
  readonly startedAtMs: number;
  readonly verdict: 'agrees' | 'differs' | 'unproven' | null;
  readonly compared: number;
  readonly drift: number;
  readonly quarantinedRows: number;
  readonly spentMs: number;
}

/** A station on the way of the whole migration. */
export interface Station {
  readonly name: string;
  readonly text: string;
  readonly state: 'done' | 'current' | 'ahead';
}

/** What the next step is, and the command that takes it, if one does. */
export interface Next {
  readonly text: string;
  readonly command: string | null;
}

/** Everything that the page shows, as of one moment. */
export interface Snapshot {
  readonly atMs: number;
  readonly migration: string;
  /** Host and database; never a password. */
  readonly database: string;
  readonly phase: Status['phase'];
  readonly direction: DirectionName;
  readonly verdict: Verdict;
  readonly next: Next;
  readonly stations: readonly Station[];
  readonly findings: readonly Finding[];
  readonly lag: Status['lag'];
  readonly slot: Status['slot'];
  readonly listener: Status['listener'];
  readonly inFlight: Status['inFlight'];
  /** Of the last run, while it is not finished. */
  readonly backfill: (Pace & { readonly paused: boolean; readonly reason: string }) | null;
  readonly targets: readonly TargetView[];
  readonly quarantine: readonly QuarantineReason[];
  /** The newest first. */
  readonly reports: readonly ReportView[];
  /** The newest first. */
  readonly events: readonly PageEvent[];
  /** How much is asked of the database for this page. */
  readonly cost: Cost;
}

export interface Cost {
  readonly everyMs: number;
  readonly idleEveryMs: number;
  readonly detailsEveryMs: number;
  /** That the last reading sent, and how long they took. */
  readonly statements: number;
  readonly tookMs: number;
}
