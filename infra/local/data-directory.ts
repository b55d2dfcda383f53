import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { appendFile, chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { LockstepError } from '../../engine/errors.ts';
import { type Account, firstClosed, wayTo } from './account.ts';
import type { PostgresBinaries, PostgresMajor } from './binaries.ts';
import { exists, identityOf, isAlive, type ProcessIdentity, workingDirectoryOf } from './process.ts';

/** Where one embedded server keeps its things. */
export interface DataDirectory {
  readonly root: string;
  readonly pgdata: string;
  readonly log: string;
  /** The process that has the directory in use. */
  readonly owner: string;
  readonly password: string;
}

export function layout(root: string): DataDirectory {
  const at = (name: string) => join(root, name);
  return { root, pgdata: at('pgdata'), log: at('server.log'), owner: at('owner.json'), password: at('password') };
}

export interface ServerPlan {
  readonly major: PostgresMajor;
  readonly binaries: PostgresBinaries;
  readonly account: Account | undefined;
  readonly fsync: boolean;
}

/**
 * Makes the directory this process's own and ready to be served: stops a server that a killed process has left
 * running in it, and creates the cluster when there is none.
 * Throws LS_DATA_DIRECTORY when another living process has it, the account cannot reach it, it holds something else,
 * or was made by another major version.
 */
export async function prepare(data: DataDirectory, plan: ServerPlan): Promise<void> {
  const { account } = plan;
  if (account) await letThrough(data, account);
  await mkdir(data.root, { recursive: true, mode: 0o700 });
  await refuseForeign(data);
  await own(data.root, account, 0o700);
  await claim(data);
  try {
    await stopStale(data);
    await initialize(data, plan);
  } catch (error) {
    await release(data);
    throw error;
  }
}

/**
 * Makes sure that the server's account can get to the directory. A parent of root's that holds nothing else (a new
 * `--data` directory, as `mktemp -d` makes it) is opened for passing through; others are not ours to open.
 */
async function letThrough(data: DataDirectory, account: Account): Promise<void> {
  const parent = dirname(data.root);
  const closed = firstClosed(account, wayTo(data.root));
  if (closed?.path === parent && closed.uid === 0) {
    const others = (await readdir(parent)).filter((name) => name !== basename(data.root));
    if (others.length === 0) return chmod(parent, (closed.mode & 0o777) | 0o011);
  }
  if (!closed) return;
  throw new LockstepError(
    'LS_DATA_DIRECTORY',
    `The data directory ${data.root} cannot be reached by user ${account.name}, as whom PostgreSQL runs when it is started by root: ${closed.path} is closed to others. A directory under /var/lib or /tmp can be reached.`,
  );
}

/** A directory is about to change hands; one that holds other people's files must not. */
async function refuseForeign(data: DataDirectory): Promise<void> {
  const ours = new Set(Object.values(data).map((path) => basename(path)));
  const foreign = (await readdir(data.root)).find((name) => !ours.has(name) && name !== basename(unfinished(data)));
  if (foreign === undefined) return;
  throw new LockstepError(
    'LS_DATA_DIRECTORY',
    `${data.root} holds ${foreign}, which is not part of an embedded database.`,
  );
}

/** A cluster has this name until it is whole: a kill in the middle leaves nothing that looks like one. */
const unfinished = (data: DataDirectory) => `${data.pgdata}.unfinished`;

async function claim(data: DataDirectory): Promise<void> {
  const mine = JSON.stringify(identityOf(process.pid));
  try {
    await writeFile(data.owner, mine, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const owner = readOwner(data.owner);
    if (owner && isAlive(owner)) {
      throw new LockstepError(
        'LS_DATA_DIRECTORY',
        `The data directory ${data.root} is in use by process ${owner.pid}.`,
      );
    }
    await writeFile(data.owner, mine);
  }
}

/** Undefined for a file that a kill has left half written: then its process is gone. */
function readOwner(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/** Gives the directory up, so that another process may take it. */
export async function release(data: DataDirectory): Promise<void> {
  await rm(data.owner, { force: true });
}

export interface Postmaster {
  readonly pid: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly ready: boolean;
}

/**
 * The postmaster's id and state, from its own file, which outlives a postmaster that was killed:
 * https://www.postgresql.org/docs/current/storage-file-layout.html
 */
export function readPostmaster(data: DataDirectory): Postmaster | undefined {
  const path = join(data.pgdata, 'postmaster.pid');
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, 'utf8').split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  return { pid, startedAt: Number(lines[2]), ready: lines[7]?.trim() === 'ready' };
}

async function stopStale(data: DataDirectory): Promise<void> {
  const stale = readPostmaster(data);
  if (!stale || !exists(stale.pid)) return;
  // Another program may have got the id of a postmaster that is long gone.
  if (platform() === 'linux' && workingDirectoryOf(stale.pid) !== realpathSync(data.pgdata)) return;
  for (const [signal, waitMs] of [
    ['SIGINT', 15_000],
    ['SIGQUIT', 10_000],
  ] as const) {
    process.kill(stale.pid, signal);
    const deadline = Date.now() + waitMs;
    while (exists(stale.pid) && Date.now() < deadline) await delay(50);
    if (!exists(stale.pid)) return;
  }
  throw new LockstepError(
    'LS_DATA_DIRECTORY',
    `A PostgreSQL server (process ${stale.pid}) still runs in ${data.pgdata} and does not stop when asked to.`,
  );
}

async function initialize(data: DataDirectory, { major, binaries, account, fsync }: ServerPlan): Promise<void> {
  if (existsSync(data.pgdata)) {
    const version = (await readFile(join(data.pgdata, 'PG_VERSION'), 'utf8')).trim();
    if (version === String(major)) return;
    throw new LockstepError(
      'LS_DATA_DIRECTORY',
      `The data in ${data.pgdata} is PostgreSQL ${version}'s; ${major} cannot read it.`,
    );
  }
  await writeOwned(data.password, randomBytes(12).toString('hex'), account);
  const cluster = unfinished(data);
  await rm(cluster, { recursive: true, force: true });
  const flags = [`--pgdata=${cluster}`, '--username=postgres', `--pwfile=${data.password}`, '--auth=scram-sha-256'];
  try {
    await promisify(execFile)(
      binaries.initdb,
      [...flags, '--encoding=UTF8', '--no-locale', ...(fsync ? [] : ['--no-sync'])],
      {
        ...(account && { uid: account.uid, gid: account.gid }),
        cwd: data.root,
        env: { ...process.env, LC_ALL: 'C' },
      },
    );
  } catch (cause) {
    const stderr = (cause as { stderr?: string }).stderr ?? String(cause);
    throw new LockstepError('LS_LOCAL_POSTGRES', `initdb could not create ${data.pgdata}: ${stderr.trim()}`, { cause });
  }
  await appendFile(join(cluster, 'postgresql.conf'), "\ninclude 'lockstep.conf'\n");
  await rename(cluster, data.pgdata);
}

/** Writes a file that the server can read, whatever this process's umask is. */
export async function writeOwned(path: string, text: string, account: Account | undefined): Promise<void> {
  await writeFile(path, text);
  await own(path, account, 0o600);
}

async function own(path: string, account: Account | undefined, mode: number): Promise<void> {
  await chmod(path, mode);
  if (account) await chown(path, account.uid, account.gid);
}
