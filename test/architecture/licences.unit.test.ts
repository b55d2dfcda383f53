import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

interface Locked {
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
}

/** They ask for no more than to be named. */
const permissive = new Set(['Apache-2.0', 'MIT', 'MIT-0', 'ISC', '0BSD', 'BSD-3-Clause', 'BlueOak-1.0.0', 'Unlicense']);
/** Of files that are used as they are, and not shipped. */
const inTools = new Set(['MPL-2.0']);

const root = new URL('../../', import.meta.url);

/** Whether one of the licences offered, or all of those demanded, are allowed. */
function isAllowed(licence: string, allowed: (one: string) => boolean): boolean {
  const plain = licence.replace(/[()]/g, '');
  return plain.includes(' OR ') ? plain.split(' OR ').some(allowed) : plain.split(' AND ').every(allowed);
}

test('every package is under a licence that we may use it under, and the documentation says which', async () => {
  const { packages } = JSON.parse(await readFile(new URL('package-lock.json', root), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const { dependencies } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const refused = Object.entries(packages).filter(([path, { license, dev, optional }]) => {
    // Of other platforms npm keeps no more than the name.
    if (path === '' || (license === undefined && optional)) return false;
    return !isAllowed(license ?? 'none', (one) => permissive.has(one) || (dev === true && inTools.has(one)));
  });
  expect(refused).toEqual([]);
  const page = await readFile(new URL('docs/security.md', root), 'utf8');
  for (const name of Object.keys(dependencies)) {
    expect(page).toContain(`| \`${name}\` | ${packages[`node_modules/${name}`]?.license} |`);
  }
});

test('a licence that asks for more is refused, unless another one is offered', () => {
  const allowed = (one: string) => permissive.has(one);
  expect(isAllowed('GPL-3.0-or-later', allowed)).toBe(false);
  expect(isAllowed('(MIT OR GPL-3.0-or-later)', allowed)).toBe(true);
  expect(isAllowed('Apache-2.0 AND GPL-3.0-or-later', allowed)).toBe(false);
});
