import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where Debian keeps the programs of each major version: the ones in PATH are scripts that choose among them. */
const debian = '/usr/lib/postgresql';

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * One of PostgreSQL's own client programs, which the embedded server comes without.
 *
 * @throws Error that says how to install it.
 */
export function findProgram(name: 'pg_recvlogical' | 'pgbench'): string {
  let versions: string[] = [];
  try {
    versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
  } catch {
    // Not Debian, or not installed.
  }
  const places = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(':').filter(Boolean),
  ];
  const found = places.map((place) => join(place, name)).find(canRun);
  if (found !== undefined) return found;
  throw new Error(
    `${name} is not installed, against which this is measured. On Debian: apt-get install postgresql-client-15 postgresql-15 (the server that comes along need not run).`,
  );
}
