import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LockstepError } from '../../engine/errors.ts';
import { type Account, serverAccount, temporaryRoot } from './account.ts';
import { type PostgresMajor, postgresBinaries } from './binaries.ts';
import {
  type DataDirectory,
  layout,
  type Postmaster,
  prepare,
  readPostmaster,
  release,
  writeOwned,
} from './data-directory.ts';
import { freePort, isFree } from './port.ts';
import { settingsFile } from './settings.ts';

export type { PostgresMajor } from './binaries.ts';

export interface LocalPostgresOptions {
  /** Default 18. */
  readonly major?: PostgresMajor;
  /** Kept when the server stops. Default: a temporary directory, removed when it stops. */
  readonly dataDirectory?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Default true. False is for data that may be lost with the machine (tests): three times faster to write. */
  readonly fsync?: boolean;
  /** Server settings beside the local ones, as in postgresql.conf: `{ max_slot_wal_keep_size: '1MB' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface LocalPostgres extends AsyncDisposable {
  readonly major: PostgresMajor;
  readonly port: number;
  /** Of the postmaster. */
  readonly pid: number;
  readonly dataDirectory: string;
  /** Connection URL of the superuser, to this database (default `postgres`). It holds the password. */
  url(database?: string): string;
  /** A clean, fast shutdown; again is no error. */
  stop(): Promise<void>;
}

/**
 * The server's life hangs on a pipe whose other end this process holds: when that closes, however this process ends
 * (kill -9 included), the server shuts down cleanly, and its temporary data is removed. No exit hooks, no signal
 * handlers; a session of its own, so that Ctrl-C in a terminal reaches us first. SIGQUIT after 15 s, since a fast
 * shutdown waits for a replication client that no longer answers.
 */
const lifeline = `
exec 3<&0
remove=$1; shift
"$@" </dev/null &
server=$!
{ cat <&3 >/dev/null; [ -z "$remove" ] || : >"$remove/remove"; kill -INT $server; n=0; while [ $n -lt 15 ]; do sleep 1; n=$((n+1)); done; kill -QUIT $server; } &
watch=$!
exec 3<&- </dev/null
wait $server
code=$?
kill $watch
[ -z "$remove" ] || [ ! -e "$remove/remove" ] || rm -rf "$remove"
exit $code
`;

const attempts = 10;

/**
 * Starts an embedded PostgreSQL on 127.0.0.1 and waits until it accepts connections. Works as root (the server then runs
 * as another user), takes over data whose process was killed, and finds another port when a free one was snatched.
 * Throws LS_DATA_DIRECTORY, LS_PORT_IN_USE, or LS_LOCAL_POSTGRES with the end of the server's log.
 */
export async function startPostgres(options: LocalPostgresOptions = {}): Promise<LocalPostgres> {
  const { major = 18, fsync = true } = options;
  const account = serverAccount(options.dataDirectory && layout(resolve(options.dataDirectory)).pgdata);
  const binaries = await postgresBinaries(major, account);
  const temporary = options.dataDirectory === undefined;
  const root = options.dataDirectory ?? (await mkdtemp(join(temporaryRoot(account), 'lockstep-postgres-')));
  const data = layout(resolve(root));
  try {
    if (options.port !== undefined && !(await isFree(options.port))) {
      throw new LockstepError('LS_PORT_IN_USE', `Port ${options.port} on 127.0.0.1, wanted for PostgreSQL, is taken.`);
    }
    await prepare(data, { major, binaries, account, fsync });
    return await serve(data, options, async (port) => {
      const settings = settingsFile({ ...options.settings, port, fsync });
      await writeOwned(join(data.pgdata, 'lockstep.conf'), settings, account);
      return launch(binaries.postgres, data, account, temporary);
    });
  } catch (error) {
    if (temporary) await rm(root, { recursive: true, force: true });
    throw error;
  }
}

async function serve(
  data: DataDirectory,
  options: LocalPostgresOptions,
  start: (port: number) => Promise<ChildProcess>,
): Promise<LocalPostgres> {
  try {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const port = options.port ?? (await freePort());
      const killed = readPostmaster(data);
      const child = await start(port);
      const pid = await ready(child, data, killed);
      if (pid !== undefined) return await running(child, data, { major: options.major ?? 18, port, pid });
      // The port was snatched, or a killed predecessor's backends still hold its shared memory for a moment.
      await delay(100 * attempt);
    }
    throw new LockstepError('LS_LOCAL_POSTGRES', `PostgreSQL did not start in ${data.root}:\n${tail(data.log)}`);
  } catch (error) {
    await release(data);
    throw error;
  }
}

function launch(program: string, data: DataDirectory, account: Account | undefined, temporary: boolean): ChildProcess {
  const log = openSync(data.log, 'a');
  const command = [program, '-D', data.pgdata];
  const child = spawn('/bin/sh', ['-c', lifeline, 'lockstep-postgres', temporary ? data.root : '', ...command], {
    ...(account && { uid: account.uid, gid: account.gid }),
    cwd: '/',
    detached: true,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['pipe', log, log],
  });
  closeSync(log);
  // A pipe whose reader has died reports it by an error; `exit` tells what happened.
  child.stdin?.on('error', () => {});
  return child;
}

/**
 * The postmaster's process id once it accepts connections; undefined when it has ended instead.
 *
 * @param killed the one whose file may still be there, and say that it is ready.
 */
async function ready(
  child: ChildProcess,
  data: DataDirectory,
  killed: Postmaster | undefined,
): Promise<number | undefined> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) return undefined;
    const postmaster = readPostmaster(data);
    const isNew = postmaster?.pid !== killed?.pid || postmaster?.startedAt !== killed?.startedAt;
    if (postmaster?.ready && isNew) return postmaster.pid;
    if (Date.now() > deadline) {
      await end(child);
      throw new LockstepError(
        'LS_LOCAL_POSTGRES',
        `PostgreSQL was not ready within 60 s in ${data.root}:\n${tail(data.log)}`,
      );
    }
    await delay(20);
  }
}

async function running(
  child: ChildProcess,
  data: DataDirectory,
  server: { major: PostgresMajor; port: number; pid: number },
): Promise<LocalPostgres> {
  const password = (await readFile(data.password, 'utf8')).trim();
  // Held by the pipe alone: the event loop may end while the server runs, and ends it by that.
  child.unref();
  const stop = async () => {
    await end(child);
    await release(data);
  };
  return {
    ...server,
    dataDirectory: data.root,
    url: (database = 'postgres') =>
      `postgresql://postgres:${password}@127.0.0.1:${server.port}/${encodeURIComponent(database)}?sslmode=disable`,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const exited = once(child, 'exit');
  child.stdin?.destroy();
  await exited;
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
}
