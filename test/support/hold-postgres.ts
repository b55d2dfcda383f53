import { startPostgres } from '../../infra/local/postgres.ts';

/** A process to be killed: starts a server (in the directory that is the first argument), says so, and lives on. */
const [dataDirectory] = process.argv.slice(2);
const server = await startPostgres({ fsync: false, ...(dataDirectory !== undefined && { dataDirectory }) });
process.stdout.write(
  `${JSON.stringify({ pid: server.pid, url: server.url(), dataDirectory: server.dataDirectory })}\n`,
);
setInterval(() => {}, 60_000);
