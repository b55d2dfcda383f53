import type { ClientBase, Pool } from 'pg';

/**
 * What a migration folder's `dev.ts` exports as `dev`: how `lockstep dev` fills the legacy tables and keeps them busy.
 * Both are optional, as is the file.
 */
export interface DevHooks {
  /** Fills the legacy tables of a new database. `users`: the size asked for. Called again, it changes nothing. */
  seed?(client: ClientBase, options: { readonly users: number }): Promise<unknown>;
  /** Writes to the legacy tables as the application would, until stopped. */
  traffic?(options: DevTrafficOptions): DevTraffic;
}

export interface DevTrafficOptions {
  readonly pool: Pool;
  readonly transactionsPerSecond: number;
  /** Another one for each run over the same data. */
  readonly seed: number;
  onError(error: unknown): void;
}

export interface DevTraffic {
  /** So far. */
  readonly counts: DevTrafficCounts;
  /** Starts nothing more; resolves when what was under way has ended. */
  stop(): Promise<DevTrafficCounts>;
}

export interface DevTrafficCounts {
  /** Committed. */
  readonly transactions: number;
  /** Rows changed by them. */
  readonly changes: number;
  readonly rolledBack: number;
  readonly errors: number;
}
