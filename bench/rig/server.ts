import { totalmem } from 'node:os';
import { type LocalPostgres, startPostgres } from '../../infra/local/postgres.ts';

const mebibyte = 1024 * 1024;
/** What is left is for the queue, the appliers, and the files' pages. */
const mostMebibytes = 2_048;

/**
 * A durable server with a quarter of the memory for its buffers, as PostgreSQL advises, and at most 2 GiB.
 * https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-SHARED-BUFFERS
 */
export function startServer(settings: Readonly<Record<string, string>> = {}): Promise<LocalPostgres> {
  const buffers = Math.min(mostMebibytes, Math.floor(totalmem() / 4 / mebibyte));
  return startPostgres({ settings: { shared_buffers: `${buffers}MB`, ...settings } });
}
