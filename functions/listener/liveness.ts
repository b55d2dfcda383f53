import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * Answers on loopback as long as this process gets round to it. It tells no more than that: a listener that waits for
 * the slot, or for a database that is away, is not mended by a restart; alarms tell of those.
 */
export async function answerLiveness(port: number): Promise<AsyncDisposable> {
  const server = createServer((_, response) => response.end('alive\n')).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
