import { execFileSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { LockstepError } from '../../engine/errors.ts';

/** The user that runs PostgreSQL. PostgreSQL refuses to run as root, so root hands it to another one. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** What decides whether an account may pass through a directory. */
export interface DirectoryAccess {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Who runs the server: nobody else when we are not root (undefined), otherwise the owner of the cluster at
 * `existingData`, if there is one already, or `postgres`, or `nobody`. No user is created.
 * Throws LS_LOCAL_POSTGRES when root has no other user to hand the server to.
 */
export function serverAccount(existingData: string | undefined): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = existingData === undefined ? undefined : ownerOf(existingData);
  const account = owner ?? findAccount('postgres') ?? findAccount('nobody');
  if (account) return account;
  throw new LockstepError(
    'LS_LOCAL_POSTGRES',
    'PostgreSQL does not run as root, and this machine has neither a user `postgres` nor a user `nobody` to run it as.',
  );
}

function ownerOf(path: string): Account | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats && stats.uid !== 0 ? { name: `#${stats.uid}`, uid: stats.uid, gid: stats.gid } : undefined;
}

function findAccount(name: string): Account | undefined {
  try {
    const ask = (flag: string) =>
      Number.parseInt(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }), 10);
    return { name, uid: ask('-u'), gid: ask('-g') };
  } catch {
    return undefined;
  }
}

/** The first directory on the way (outermost first) that the account may not pass through; undefined when it may all. */
export function firstClosed(account: Account, way: readonly DirectoryAccess[]): DirectoryAccess | undefined {
  return way.find(({ mode, uid, gid }) => {
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    return (mode & bit) === 0;
  });
}

/** The existing directories that lead to `path`, outermost first; `path` itself is not among them. */
export function wayTo(path: string): DirectoryAccess[] {
  const parent = dirname(resolve(path));
  return parent === resolve(path) ? [] : [...wayTo(parent), ...access(parent)];
}

function access(path: string): DirectoryAccess[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats ? [{ path, mode: stats.mode, uid: stats.uid, gid: stats.gid }] : [];
}

/** The system's directory for temporary files, or the first usual one that the account can reach and we can write. */
export function temporaryRoot(account: Account | undefined): string {
  const candidates = [tmpdir(), '/tmp', '/var/tmp'];
  const found = candidates.find((path) => writable(path) && (!account || !firstClosed(account, wayTo(`${path}/x`))));
  if (found !== undefined) return found;
  throw new LockstepError(
    'LS_LOCAL_POSTGRES',
    `None of ${candidates.join(', ')} can be written and reached by user ${account?.name ?? 'of this process'}.`,
  );
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
