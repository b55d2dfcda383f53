import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);

/** What docs/app.md says to delete after `complete`. */
async function deleted(): Promise<string[]> {
  const guide = await readFile(new URL('docs/app.md', root), 'utf8');
  const [list = ''] = /^2\. Delete `app\/.*$/m.exec(guide) ?? [];
  return [...list.matchAll(/`(app\/[^`]+)`/g)].map(([, path = '']) => path);
}

test('what is left of the application’s side after the migration needs nothing of what the guide says to delete', async () => {
  const gone = await deleted();
  expect(gone).toContain('app/legacy');
  const files = (await readdir(new URL('app', root), { recursive: true })).filter((name) => name.endsWith('.ts'));
  const isGone = (path: string) => gone.some((one) => path === one || path.startsWith(`${one}/`));
  const left = files
    .map((name) => join('app', name))
    .filter((path) => !isGone(path) && !path.startsWith('app/example/'));
  expect(left).toContain('app/normalized/repositories.ts');
  for (const path of left) {
    const text = await readFile(new URL(path, root), 'utf8');
    const imported = [...text.matchAll(/from '(\.[^']+)'/g)].map(([, to = '']) => normalize(join(dirname(path), to)));
    expect(imported.filter(isGone), path).toEqual([]);
  }
});
