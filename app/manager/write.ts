import type pg from 'pg';
import { AppError } from '../errors.ts';
import type { Observe, Side } from '../events.ts';
import type { Settings } from '../flags/settings.ts';
import { isMigrated, readPhase, type State } from '../flags/state.ts';
import type { Key } from '../legacy/keys.ts';
import { legacyRepositories } from '../legacy/repositories.ts';
import { normalizedRepositories } from '../normalized/repositories.ts';
import type { Repositories } from '../repositories.ts';
import { inTransaction, sqlInTransaction } from '../sql.ts';
import { isMissing, sqlStateOf, Turned, writeFailure } from './guard.ts';
import type { Positions } from './positions.ts';
import { truthIn } from './route.ts';

export interface WriteParts {
  readonly pool: pg.Pool;
  readonly settings: Settings;
  readonly positions: Positions;
  readonly observe: Observe;
}

/** What a transaction of the application does; it may be run again from the start, and on the other side. */
export type Work<T> = (repositories: Repositories, client: pg.ClientBase) => Promise<T>;

/** How often a deadlock's victim tries again. */
const repetitions = 3;

/**
 * Runs one transaction on the side that is the truth. When it meets the guard of a side that has just ceased to be, nothing
 * of it has been written: the phase is read again, and it runs once more on the other side. Once.
 *
 * @throws AppError LS_APP_GUARDED when both sides refuse it; otherwise what the work or the server throws.
 */
export async function write<T>(parts: WriteParts, work: Work<T>): Promise<T> {
  let state = await parts.settings.current();
  let side = truthIn(state.phase);
  let turned = false;
  for (let tries = 1; ; tries += 1) {
    try {
      return await writeOn(parts, side, state, work);
    } catch (error) {
      const failure = writeFailure(error);
      if (failure === 'repeatable' && tries <= repetitions) {
        parts.observe({ event: 'repeated', sqlState: sqlStateOf(error) });
        continue;
      }
      if (failure !== 'turned') throw error;
      state = await parts.settings.read();
      const to = truthIn(state.phase);
      if (to === side || turned) throw refused(error, side, to);
      turned = true;
      side = to;
      parts.observe({ event: 'turned', to });
    }
  }
}

async function writeOn<T>({ pool, positions }: WriteParts, side: Side, state: State, work: Work<T>): Promise<T> {
  const touched = new Set<Key>();
  const { value, committedLsn } = await inTransaction(pool, async (client) => {
    const sql = sqlInTransaction(client);
    const repositories =
      side === 'normalized' ? normalizedRepositories(sql) : legacyRepositories(sql, (key) => touched.add(key));
    const answered = await work(repositories, client);
    // No guard watches what both sides share (a new user), nor what was only looked for: "there is no such row" is said by
    // the side that is the truth, or not at all. Whatever was written is locked, and keeps the phase as it is until the commit.
    if (isMigrated(state) && truthIn(await readPhase(sql)) !== side) throw new Turned('The phase has turned.');
    return answered;
  });
  positions.remember(touched, committedLsn);
  return value;
}

/** What is missing on the side that is the truth is what the server says it is. */
function refused(error: unknown, side: Side, truth: Side): unknown {
  if (isMissing(error)) return error;
  const message =
    truth === side
      ? `A write to the ${side} side met its guard, although that side is the truth.`
      : 'A write met the guards of both sides.';
  return new AppError('LS_APP_GUARDED', message, { cause: error });
}
