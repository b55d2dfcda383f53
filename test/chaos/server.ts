import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../infra/local/port.ts';
import { type LocalPostgres, startPostgres } from '../../infra/local/postgres.ts';

/** A server that can be stopped in every way and comes back at the same address with its data. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  url(database?: string): string;
  /** `SIGQUIT`: at once, as in a crash, with recovery at the next start. `SIGINT`: a fast shutdown. */
  restart(signal: 'SIGQUIT' | 'SIGINT', downMs: number): Promise<void>;
}

export async function startServer(): Promise<Server> {
  const root = mkdtempSync(join(tmpdir(), 'lockstep-chaos-server-'));
  const port = await freePort();
  const launch = () =>
    startPostgres({
      dataDirectory: join(root, 'server'),
      port,
      fsync: false,
      settings: { max_wal_size: '256MB', checkpoint_timeout: '30s', deadlock_timeout: '200ms' },
    });
  let server: LocalPostgres = await launch();
  return {
    port,
    url: (database) => server.url(database),
    async restart(signal, downMs) {
      process.kill(server.pid, signal);
      await server.stop();
      await delay(downMs);
      server = await launch();
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
