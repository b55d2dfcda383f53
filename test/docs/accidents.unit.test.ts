import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

test('each test that docs/accidents.md names is there, under this name', async () => {
  const page = await readFile(join(root, 'docs/accidents.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (?!accident|-)(.+) \| (.+) \| (\S+) \|$/gm)];
  expect(rows.length).toBeGreaterThanOrEqual(12);
  const missing: string[] = [];
  for (const [, accident, name = '', file = ''] of rows) {
    const text = await readFile(join(root, file), 'utf8').catch(() => '');
    if (!/^test/m.test(text) || !text.includes(`'${name}'`)) missing.push(`${accident}: ${name} (${file})`);
  }
  expect(missing).toEqual([]);
});
