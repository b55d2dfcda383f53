import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorCatalogue } from '../../engine/errors.ts';
import { checkout } from '../cli/lockstep.ts';

// app/ belongs to the application, and has errors of its own (docs/app.md).
const product = ['engine', 'infra', 'functions', 'cli', 'dashboard', 'sql'];
const catalogue = /^engine\/errors(\/|\.ts$)/;
/** Not raised as errors of ours: what everything else is called, and the guards' SQLSTATE. */
const others = new Set(['LS_UNEXPECTED']);

/** By code, the files of these folders that speak of it outside of comments. */
async function mentions(folders: readonly string[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const folder of folders) {
    for (const name of await readdir(join(checkout, folder), { recursive: true })) {
      const path = `${folder}/${name}`;
      if (!path.endsWith('.ts') || path.startsWith('test/errors/')) continue;
      const text = (await readFile(join(checkout, path), 'utf8')).replace(/^\s*(\*|\/\*|\/\/).*$/gm, '');
      for (const code of new Set(text.match(/\bLS_[A-Z]+(_[A-Z]+)*\b/g) ?? [])) {
        found.set(code, [...(found.get(code) ?? []), path]);
      }
    }
  }
  return found;
}

test('every code that is raised is in the catalogue, and everything in the catalogue is raised', async () => {
  const raised = await mentions(product);
  const unknown = [...raised.keys()].filter((code) => !(code in errorCatalogue) && !others.has(code));
  // Prefixes such as LS_STEP_ are asked for as such.
  expect(unknown.filter((code) => !Object.keys(errorCatalogue).some((known) => known.startsWith(`${code}_`)))).toEqual(
    [],
  );
  const never = Object.keys(errorCatalogue).filter((code) => !raised.get(code)?.some((path) => !catalogue.test(path)));
  expect(never).toEqual([]);
});

test('every code of the catalogue is provoked by a test', async () => {
  const tested = await mentions(['test']);
  expect(Object.keys(errorCatalogue).filter((code) => !tested.has(code))).toEqual([]);
});

test('every entry says what it means for the data, whether repeating helps, and what to do', () => {
  for (const [code, { meaning, remedy, retry, exitCode }] of Object.entries(errorCatalogue)) {
    expect(meaning, code).toMatch(/^[A-Z].*\.$/s);
    expect(remedy, code).toMatch(/^(`|[A-Z]).*\.$/s);
    expect(['by itself', 'later', 'once mended'], code).toContain(retry);
    // A question that could not be asked is no "no".
    expect(exitCode === 1 ? /^Nothing was changed/.test(meaning) : exitCode === 2, code).toBe(true);
  }
});
