import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

const lifeline = JSON.stringify(new URL('parts/lifeline.ts', import.meta.url).href);
const flags = ['--input-type=module', '--eval'];
// Says so, and ends, when it has gone on without its parent.
const child = `import { hangOnParent } from ${lifeline};
hangOnParent();
console.log('up');
setTimeout(() => { console.log('outlived'); process.exit(0); }, 15_000);`;
const parent = `import { spawn } from 'node:child_process';
spawn(process.execPath, ${JSON.stringify([...flags, child])}, { stdio: ['pipe', 'inherit', 'inherit'] });`;

test('a process ends when the one that started it is killed', async () => {
  const started = spawn(process.execPath, [...flags, parent], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  const up = Promise.withResolvers<void>();
  started.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    if (printed.includes('up')) up.resolve();
  });
  await up.promise;
  started.kill('SIGKILL');
  // Both have its other end.
  await once(started.stdout, 'close');
  expect(printed).toBe('up\n');
});
