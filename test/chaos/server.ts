import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../infra/local/port.ts';
import { type LocalPostgres, startPostgres } from '../../infra/local/postgres.ts';
import { killFamily } from '../support/family.ts';

/** A server that can be stopped in every way and comes back at the same address with its data. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  url(database?: string): string;
  /**
   * `SIGKILL`: the server and each of its processes, none of which learns of it. `SIGQUIT`: at once, as in a crash, with
   * recovery at the next start. `SIGINT`: a fast shutdown.
   */
  restart(signal: 'SIGKILL' | 'SIGQUIT' | 'SIGINT', downMs: number): Promise<void>;
}

const chaosSettings = { max_wal_size: '256MB', checkpoint_timeout: '30s', deadlock_timeout: '200ms' };

export async function startServer(settings: Readonly<Record<string, string>> = chaosSettings): Promise<Server> {
  const root = mkdtempSync(join(tmpdir(), 'lockstep-chaos-server-'));
  const port = await freePort();
  const launch = () =>
    startPostgres({
      dataDirectory: join(root, 'server'),
      port,
      fsync: false,
      settings,
    });
  let server: LocalPostgres = await launch();
  return {
    port,
    url: (database) => server.url(database),
    async restart(signal, downMs) {
      if (signal === 'SIGKILL') await killFamily(server.pid);
      else process.kill(server.pid, signal);
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
