import type { ServerResponse } from 'node:http';

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface Feed {
  /** Sends what was read last, and everything after it, until the other side closes. */
  subscribe(response: ServerResponse): void;
  stop(): void;
}

/** Asks `read` every `intervalMs`, one question at a time, only while someone looks, and tells everyone who does. */
export function startFeed(read: () => Promise<object>, intervalMs: number): Feed {
  const subscribers = new Set<ServerResponse>();
  let asking = false;
  const ask = async () => {
    if (asking || subscribers.size === 0) return;
    asking = true;
    try {
      tell('status', await read());
    } catch (error) {
      tell('trouble', { message: error instanceof Error ? error.message : String(error) });
    } finally {
      asking = false;
    }
  };
  const tell = (event: string, data: object) => {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const response of subscribers) response.write(text);
  };
  const timer = setInterval(() => void ask(), intervalMs);
  return {
    subscribe(response) {
      subscribers.add(response);
      response.on('close', () => subscribers.delete(response));
      void ask();
    },
    stop() {
      clearInterval(timer);
      for (const response of subscribers) response.end();
    },
  };
}
