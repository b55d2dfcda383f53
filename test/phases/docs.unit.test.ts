import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { refusalNames } from '../../engine/phases/findings.ts';

test('docs/cutover.md says of every refusal what it means, and of nothing else', async () => {
  const page = await readFile(new URL('../../docs/cutover.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  expect(documented.sort()).toEqual([...refusalNames].sort());
});
