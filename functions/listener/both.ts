import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { isOutage } from '../../engine/capture/supervise.ts';
import { cutConnection, withConnection } from '../../engine/connection.ts';
import { LockstepError } from '../../engine/errors.ts';
import type { DirectionName } from '../../engine/migration/contract.ts';
import { type Arming, readArming } from '../../engine/phases/arming.ts';
import { type Database, openDatabase } from '../../infra/postgres/database.ts';
import { type ListenerParts, listen } from './build.ts';

export interface BothParts extends Omit<ListenerParts, 'direction' | 'onCapturing' | 'proven'> {
  /** Called for each direction when its changes begin to flow, and again after an outage. */
  readonly onCapturing?: (direction: DirectionName) => void;
}

/** Why listening has ended: because it was asked to, or because the migration has been completed meanwhile. */
export type ListeningEnd = 'stopped' | 'complete';

/** How soon after `arm` the way back is captured. */
const lookEveryMs = 1_000;

/**
 * The listeners of a migration: of the forward direction from the start, of the reverse one once it is armed, both until
 * `signal` aborts or the migration is complete. Both are needed whichever is active: the slot of the other must be moved
 * on as well, or WAL piles up behind it.
 *
 * @throws LockstepError LS_COMPLETE when the migration had been completed before; what `listen` throws for either direction,
 * and then the other has ended too.
 */
export async function listenToBoth(parts: BothParts): Promise<ListeningEnd> {
  await refuseComplete(parts);
  const ending = new AbortController();
  const signal = AbortSignal.any([parts.signal, ending.signal]);
  const start = async (direction: DirectionName, proven: boolean) => {
    try {
      await listen({ ...parts, direction, proven, signal, onCapturing: () => parts.onCapturing?.(direction) });
    } finally {
      ending.abort();
    }
  };
  const forward = start('forward', false);
  let reverse: Promise<void> | undefined;
  let completed = false;
  const watch = async () => {
    try {
      await using stack = new AsyncDisposableStack();
      let database: Database | undefined;
      const look = async (): Promise<Partial<Arming>> => {
        database ??= stack.use(await open(parts));
        return await withConnection(database.pool, (client) => readUntil(signal, client));
      };
      while (!signal.aborted) {
        const { phase, armed } = await look().catch(unlessOutage);
        if (phase === 'complete') {
          completed = true;
          return;
        }
        if (armed && parts.migration.reverse && !reverse) {
          // It has been found to be armed with the same settings.
          reverse = start('reverse', true);
          // Waited for when watching has ended.
          reverse.catch(() => undefined);
        }
        await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      ending.abort();
    }
  };
  const results = await Promise.allSettled([forward, watch().then(() => reverse)]);
  // Its own error would be lost if watching had failed first.
  results.push(...(await Promise.allSettled([reverse])));
  const failed = results.find((result) => result.status === 'rejected');
  // The end drops slots and publications, and whoever stood by for one, or was about to take it, fails for the lack of it.
  completed ||= failed !== undefined && (await isComplete(parts));
  if (failed && !completed) throw failed.reason;
  return completed ? 'complete' : 'stopped';
}

/** A server that is silently gone does not keep the end waiting. */
async function readUntil(signal: AbortSignal, client: pg.PoolClient): Promise<Arming> {
  const cut = () => cutConnection(client);
  signal.addEventListener('abort', cut);
  try {
    return await readArming(client);
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

/** Asked before a slot could be made: nobody would ever read it again. */
async function refuseComplete(parts: BothParts): Promise<void> {
  if (!(await isComplete(parts))) return;
  const name = parts.migration.name;
  throw new LockstepError('LS_COMPLETE', `The migration "${name}" of this database is complete.`);
}

/** What else is wrong, such as a database without our tables, the listener itself says better. */
async function isComplete(parts: BothParts): Promise<boolean> {
  try {
    await using database = await open(parts);
    return (await readArming(database.pool)).phase === 'complete';
  } catch {
    return false;
  }
}

const open = ({ env, telemetry }: BothParts): Promise<Database> =>
  openDatabase({ applicationName: 'lockstep listener', max: 1, telemetry, ...(env && { env }) });

/** While the database is away nothing is known, and nothing is started. */
function unlessOutage(error: unknown): Partial<Arming> {
  if (isOutage(error)) return {};
  throw error;
}
