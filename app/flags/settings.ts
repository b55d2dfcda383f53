import type pg from 'pg';
import { type Clock, systemClock } from '../clock.ts';
import { AppError } from '../errors.ts';
import type { Observe } from '../events.ts';
import { sqlInTransaction } from '../sql.ts';
import { readState, type State } from './state.ts';

/** The channel on which a trigger of step 003 tells of a change of system_settings. */
export const settingsChannel = 'lockstep_settings';

export interface SettingsOptions {
  /** One of its connections is kept for listening. */
  readonly pool: pg.Pool;
  readonly observe: Observe;
  readonly clock?: Clock;
  /** How often the state is read when nobody has told of a change, in case the telling was lost. Default 1,000. */
  readonly refreshMs?: number;
  /** A state that is older is read again before it is used. Default 3,000. */
  readonly maxAgeMs?: number;
}

export interface Settings extends AsyncDisposable {
  /** The state, at most `maxAgeMs` old. @throws AppError LS_APP_SETTINGS when it cannot be read. */
  current(): Promise<State>;
  /** The state as it is now: for whoever has just seen that it must have changed. @throws AppError LS_APP_SETTINGS */
  read(): Promise<State>;
  /** Told when the state has changed; answers how to stop that. */
  onChange(listener: (state: State) => void): () => void;
}

/** Keeps phase and flags at hand: a change is known when NOTIFY tells of it, and at the latest after `refreshMs`. */
export function openSettings(options: SettingsOptions): Settings {
  const { pool, observe, clock = systemClock, refreshMs = 1000, maxAgeMs = 3000 } = options;
  const listeners = new Set<(state: State) => void>();
  const closing = new AbortController();
  let latest: { state: State; number: number; readAtMs: number } | undefined;
  let reads = 0;

  /** Reads may end in another order than they began in; the one that began last counts. */
  const readOn = async (db: Pick<pg.ClientBase, 'query'>): Promise<State> => {
    const number = ++reads;
    const readAtMs = clock.nowMs();
    const state = await readState(sqlInTransaction(db));
    if (latest === undefined || number > latest.number) {
      const before = latest?.state;
      latest = { state, number, readAtMs };
      if (JSON.stringify(comparable(before)) !== JSON.stringify(comparable(state))) tell(state);
    }
    return state;
  };
  const tell = (state: State) => {
    for (const [flag, rule] of state.flags) if (rule === undefined) observe({ event: 'flag-invalid', flag });
    for (const listener of listeners) listener(state);
  };
  const read = () =>
    readOn(pool as unknown as pg.ClientBase).catch((error: unknown) => {
      throw new AppError('LS_APP_SETTINGS', 'Phase and flags of the migration cannot be read.', { cause: error });
    });

  /** On one connection: listen, and read at each notification and after each `refreshMs`. Ends when it breaks. */
  const listen = async () => {
    const client = await pool.connect();
    let ring = new AbortController();
    const bell = () => ring.abort();
    client.on('notification', bell);
    client.on('error', bell);
    closing.signal.addEventListener('abort', bell);
    try {
      await client.query(`LISTEN ${settingsChannel}`);
      while (!closing.signal.aborted) {
        ring = new AbortController();
        await readOn(client);
        if (!closing.signal.aborted) await clock.pauseMs(refreshMs, ring.signal);
      }
    } finally {
      closing.signal.removeEventListener('abort', bell);
      // It listens: not to be given to anyone else. Its last errors are nobody's, and must not end the application.
      client.release(true);
    }
  };
  const running = (async () => {
    while (!closing.signal.aborted) {
      await listen().catch((error: unknown) => observe({ event: 'settings-unreadable', error }));
      if (!closing.signal.aborted) await clock.pauseMs(refreshMs, closing.signal);
    }
  })();

  return {
    async current() {
      if (latest !== undefined && clock.nowMs() - latest.readAtMs <= maxAgeMs) return latest.state;
      return await read();
    },
    read,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}

/** How far behind changes all the time, and is no news. */
function comparable(state: State | undefined): unknown {
  return state && { ...state, flags: [...state.flags], behindSeconds: undefined };
}
