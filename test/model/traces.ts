import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * `node traces.ts FOLDER VERSION [--write]`: whether the counterexamples in docs/model.md are those that spin has just found
 * (FOLDER/RULE.trace); with `--write` they become that. Another version of spin may search in another order, and then
 * finds others: the page says which one it was.
 */
const [folder = '', version = '', flag] = process.argv.slice(2);
const page = new URL('../../docs/model.md', import.meta.url);
const before = await readFile(page, 'utf8');
const found = /(<!-- trace: (\w+) -->\n```text\n)[^`]*(```)/g;
let after = before.replace(/(<!-- spin: )[^>]*( -->)/, (_, open, close) => `${open}${version}${close}`);
for (const [block, open, rule, close] of before.matchAll(found)) {
  const trace = await readFile(join(folder, `${rule}.trace`), 'utf8');
  if (trace === '') throw new Error(`There is no counterexample for ${rule}.`);
  after = after.replace(block, `${open}${trace}${close}`);
}
if (flag === '--write') await writeFile(page, after);
else if (after !== before) {
  const sameSpin = before.includes(`<!-- spin: ${version} -->`);
  process.stderr.write('docs/model.md does not show what the model does now; write it with: npm run model -- --docs\n');
  if (sameSpin) process.exitCode = 1;
}
