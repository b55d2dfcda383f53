import { randomUUID } from 'node:crypto';
import { type Client, OpenFeature } from '@openfeature/server-sdk';
import type pg from 'pg';
import { type AuditEvent, logAuditEvent } from './audit.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Observe } from './events.ts';
import { SystemSettingsProvider } from './flags/provider.ts';
import { openSettings } from './flags/settings.ts';
import type { State } from './flags/state.ts';
import { legacyRepositories } from './legacy/repositories.ts';
import { type UserRepositories, userRepositories } from './manager/manager.ts';
import { createPositions, readApplied } from './manager/positions.ts';
import { createShadow } from './manager/shadow.ts';
import { openShadowPool } from './manager/shadow-pool.ts';
import { normalizedRepositories } from './normalized/repositories.ts';
import { sqlOnPool } from './sql.ts';

export interface SchemasOptions {
  /** The application's own. One connection is kept, to hear of changed flags. */
  readonly pool: pg.Pool;
  /** Of the team's own provider. Default: a client of a provider over system_settings. */
  readonly flags?: Pick<Client, 'getBooleanValue'>;
  readonly observe?: Observe;
  readonly clock?: Clock;
  /** How long a flagged read waits for this process's own write before it asks legacy. Default 100. */
  readonly waitMs?: number;
  /** How far the normalized tables may be behind before flagged reads ask legacy. Default 30. */
  readonly mostBehindSeconds?: number;
  /** See openSettings. */
  readonly refreshMs?: number;
  readonly maxAgeMs?: number;
  readonly shadow?: {
    /** Not the application's. Default: one of a single connection, opened as those of `pool` are. */
    readonly pool?: pg.Pool;
    readonly random?: () => number;
    /** How many comparisons may wait. Default 100. */
    readonly most?: number;
    /** Default 30,000. */
    readonly settleMs?: number;
  };
}

export interface Schemas extends AsyncDisposable {
  /** For one request of one user; costs nothing. */
  forUser(userId?: string): UserRepositories;
  logAuditEvent(event: AuditEvent): Promise<string>;
  /** Phase and flags, at most a few seconds old. */
  state(): Promise<State>;
  /** Resolves when the shadow reads taken so far are done. */
  shadowsDone(): Promise<void>;
}

/**
 * Both schemas behind one set of repositories: `await using schemas = await openSchemas({ pool })`, once in a process.
 * Does not need the database to be there yet, nor the migration to have begun.
 */
export async function openSchemas(options: SchemasOptions): Promise<Schemas> {
  const {
    pool,
    observe = () => undefined,
    clock = systemClock,
    refreshMs,
    maxAgeMs,
    shadow: comparison = {},
  } = options;
  await using parts = new AsyncDisposableStack();
  const settings = parts.use(
    openSettings({
      pool,
      observe,
      clock,
      ...(refreshMs !== undefined && { refreshMs }),
      ...(maxAgeMs !== undefined && { maxAgeMs }),
    }),
  );
  const flags = options.flags ?? (await ownFlags(settings, parts));
  const shadow = parts.use(
    createShadow({
      pool: comparison.pool ?? parts.adopt(openShadowPool(pool, observe), (own) => own.end()),
      observe,
      clock,
      random: comparison.random ?? Math.random,
      most: comparison.most ?? 100,
      settleMs: comparison.settleMs ?? 30_000,
    }),
  );
  const sql = sqlOnPool(pool);
  const all = {
    pool,
    settings,
    flags,
    shadow,
    observe,
    legacy: legacyRepositories(sql),
    normalized: normalizedRepositories(sql),
    positions: createPositions(() => readApplied(pool, 'forward'), clock),
    waitMs: options.waitMs ?? 100,
    mostBehindSeconds: options.mostBehindSeconds ?? 30,
  };
  const opened = parts.move();
  return {
    forUser: (userId) => userRepositories(all, userId),
    logAuditEvent: (event) => logAuditEvent(sql, event),
    state: () => settings.current(),
    shadowsDone: () => shadow.idle(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** A domain of its own, so that the application's other flags keep their provider. */
async function ownFlags(settings: ReturnType<typeof openSettings>, parts: AsyncDisposableStack): Promise<Client> {
  const domain = `lockstep ${randomUUID()}`;
  const provider = new SystemSettingsProvider(settings);
  await OpenFeature.setProviderAndWait(domain, provider);
  parts.defer(() => provider.onClose());
  return OpenFeature.getClient(domain);
}

export type { AuditEvent } from './audit.ts';
export { AppError } from './errors.ts';
export type { AppEvent, Side } from './events.ts';
export type { UserRepositories } from './manager/manager.ts';
export type { GenerationRepository, MediaRepository, Repositories, SubscriptionRepository } from './repositories.ts';
export type * from './types.ts';
