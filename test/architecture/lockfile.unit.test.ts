import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

interface LockedPackage {
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const lockfile = new URL('../../package-lock.json', import.meta.url);

/**
 * `npm ci` refuses a lock file that leaves out an optional package of another platform, and `npm install` leaves it out
 * where the registry does not have that package: then nobody could install a fresh clone.
 */
test('package-lock.json has every package that another asks for, on whatever platform', async () => {
  const text = await readFile(lockfile, 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, LockedPackage> };
  const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !isLocked(packages, path, name)),
  );
  expect(missing).toEqual([]);
});

test('package-lock.json names no registry', async () => {
  const text = await readFile(lockfile, 'utf8');
  expect(text).not.toContain('"resolved": "http');
});

/** As Node looks for it: in the package itself, then in those that it lies in. */
function isLocked(packages: Record<string, unknown>, path: string, name: string): boolean {
  const parts = path === '' ? [] : path.split(/\/?node_modules\//).slice(1);
  return parts
    .map((_, depth) => parts.slice(0, depth + 1))
    .concat([[]])
    .some((folders) => [...folders, name].map((part) => `node_modules/${part}`).join('/') in packages);
}
