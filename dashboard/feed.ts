import type { ServerResponse } from 'node:http';
import type { Sample, Snapshot } from './model.ts';
import type { Reading } from './read.ts';

export interface FeedOptions {
  read(details: boolean): Promise<Reading>;
  readonly cadence?: Cadence;
}

/** How often the database is asked, in milliseconds. */
export interface Cadence {
  /** While someone looks. */
  readonly everyMs: number;
  /** While nobody does, so that the plots have a past when someone comes. */
  readonly idleEveryMs: number;
  /** What changes slowly: quarantine's reasons, reports, what is remembered. Only while someone looks. */
  readonly detailsEveryMs: number;
}

export const usualCadence: Cadence = { everyMs: 2_000, idleEveryMs: 10_000, detailsEveryMs: 10_000 };

/** The plots' past. */
const keptMs = 60 * 60_000;
/** More than any team opens; what is beyond is a mistake. */
const mostSubscribers = 50;
/** Who has not taken this much is not listening any more. */
const mostUnreadBytes = 4 * 1024 * 1024;

/** When to ask next. Asking never takes more than a twentieth of the time: a database that answers slowly is asked less. */
export function pauseMs(tookMs: number, watched: boolean, { everyMs, idleEveryMs }: Cadence): number {
  return Math.max(watched ? everyMs : idleEveryMs, tookMs * 19);
}

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface Feed {
  /** Sends the plots' past, what was read last, and everything after it, until the other side closes. */
  subscribe(response: ServerResponse): void;
  readonly full: boolean;
  stop(): Promise<void>;
}

/** Asks, one question at a time, and tells everyone who looks: `past` once, then `status`, or `trouble` when asking failed. */
export function startFeed({ read, cadence = usualCadence }: FeedOptions): Feed {
  const subscribers = new Set<ServerResponse>();
  const past: Sample[] = [];
  let last: { snapshot: Snapshot; atMs: number } | undefined;
  let detailsAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let asking: Promise<void> | undefined;

  const tell = (to: Iterable<ServerResponse>, event: string, data: object) => {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const response of to) {
      response.write(text);
      if (response.writableLength > mostUnreadBytes) response.destroy();
    }
  };

  const ask = async () => {
    clearTimeout(timer);
    const watched = subscribers.size > 0;
    const beganMs = performance.now();
    const details = watched && beganMs - detailsAtMs >= cadence.detailsEveryMs;
    try {
      const { snapshot, sample, statements } = await read(details);
      if (details) detailsAtMs = beganMs;
      const tookMs = performance.now() - beganMs;
      past.push(sample);
      while ((past[0]?.atMs ?? sample.atMs) < sample.atMs - keptMs) past.shift();
      last = { snapshot: { ...snapshot, cost: { ...cadence, statements, tookMs } }, atMs: performance.now() };
      tell(subscribers, 'status', { snapshot: last.snapshot, sample });
    } catch (error) {
      tell(subscribers, 'trouble', { message: error instanceof Error ? error.message : String(error) });
    }
    asking = undefined;
    if (!stopped) timer = setTimeout(start, pauseMs(performance.now() - beganMs, subscribers.size > 0, cadence));
  };
  const start = () => {
    asking ??= ask();
  };
  start();

  return {
    get full() {
      return subscribers.size >= mostSubscribers;
    },
    subscribe(response) {
      subscribers.add(response);
      response.on('close', () => subscribers.delete(response));
      tell([response], 'past', { samples: past });
      if (last) tell([response], 'status', { snapshot: last.snapshot, sample: null });
      // The first to look does not wait for the slow cadence's next turn.
      if (!last || performance.now() - last.atMs > cadence.everyMs) start();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      const left = [...subscribers];
      // What is being read now is told to nobody any more.
      subscribers.clear();
      for (const response of left) response.end();
      await asking;
      clearTimeout(timer);
    },
  };
}
