import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { errorsPage } from '../../docs/errors.ts';
import { errorCatalogue } from '../../engine/errors.ts';

const root = resolve(import.meta.dirname, '../..');

async function pages(): Promise<string[]> {
  const inDocs = await readdir(join(root, 'docs'), { recursive: true });
  const top = await readdir(root);
  return [...top, ...inDocs.map((name) => join('docs', name))].filter((name) => name.endsWith('.md'));
}

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, text]) => text ?? '');
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('docs/errors.md is what engine/errors.ts says (npm run docs)', async () => {
  expect(await readFile(join(root, 'docs/errors.md'), 'utf8')).toBe(errorsPage(errorCatalogue));
});

test('every link of the documentation leads somewhere', async () => {
  const broken: string[] = [];
  for (const page of await pages()) {
    const text = await readFile(join(root, page), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
      if (!existsSync(file)) broken.push(`${page}: ${target}`);
      else if (anchor !== undefined && !anchorsOf(await readFile(file, 'utf8')).has(anchor)) {
        broken.push(`${page}: ${target}`);
      }
    }
  }
  expect(broken).toEqual([]);
});

test('every npm script and every command that the documentation names exists', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const commands = new Set((await readdir(join(root, 'cli/commands'))).map((name) => name.replace(/\.ts$/, '')));
  const unknown: string[] = [];
  for (const page of await pages()) {
    const text = await readFile(join(root, page), 'utf8');
    for (const [, script = ''] of text.matchAll(/npm run ([a-z:-]+)/g)) {
      if (!(script in scripts)) unknown.push(`${page}: npm run ${script}`);
    }
    for (const [, command = ''] of text.matchAll(/npx lockstep ([a-z-]+)/g)) {
      if (!commands.has(command)) unknown.push(`${page}: npx lockstep ${command}`);
    }
  }
  expect(unknown).toEqual([]);
});
