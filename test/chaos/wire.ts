import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What becomes of bytes on their way. */
export type Weather = 'fine' | 'cut' | 'stalled' | { readonly slowMs: number };

/** A link between a part and the server that can be cut, stopped or made slow: TCP on 127.0.0.1. */
export interface Wire extends AsyncDisposable {
  readonly port: number;
  set(weather: Weather): void;
}

/** @param targetPort where the server listens; it may be away for a while. */
export async function layWire(targetPort: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  let weather: Weather = 'fine';
  let changed = Promise.withResolvers<void>();
  const carry = async (from: Socket, to: Socket) => {
    for await (const chunk of from) {
      while (weather === 'stalled') await changed.promise;
      if (typeof weather === 'object') await delay(weather.slowMs);
      if (to.destroyed) break;
      if (!to.write(chunk)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
    }
    to.end();
  };
  const server = createServer((near) => {
    if (weather === 'cut') return near.resetAndDestroy();
    const far = connect(targetPort, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      // A reset on one side is one on the other.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroySoon();
      });
      carry(socket, other).catch(() => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const set = (next: Weather) => {
    weather = next;
    changed.resolve();
    changed = Promise.withResolvers();
    if (next === 'cut') for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    set,
    async [Symbol.asyncDispose]() {
      set('cut');
      server.close();
      await once(server, 'close');
    },
  };
}
