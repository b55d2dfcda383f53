import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, test } from 'vitest';
import { bin, run, start } from '../cli/lockstep.ts';
import { blocksOf, documents } from './support.ts';

/** `npx lockstep` as npm would start it, a second sooner; test/e2e/fresh-clone.sh tries npx itself. */
function quickNpx(folder: string): string {
  const script = `#!/bin/sh\n[ "$1" = lockstep ] || { echo "only npx lockstep is run here, not: $*" >&2; exit 99; }\nshift\nexec "${process.execPath}" "${bin}" "$@"\n`;
  writeFileSync(join(folder, 'npx'), script);
  chmodSync(join(folder, 'npx'), 0o755);
  return `${folder}${delimiter}${process.env.PATH ?? ''}`;
}

test('every marked block of the documentation does what it says, on one machine, in order', {
  timeout: 300_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-docs-'));
  try {
    await using dev = start(['dev', '--users', '20', '--traffic', '5']);
    await dev.event('ready', 120_000);
    const env = { LOCKSTEP_STATE_DIR: dev.state, PATH: quickNpx(folder) };
    const blocks = (await documents()).flatMap(blocksOf);
    expect(blocks.length).toBeGreaterThanOrEqual(8);
    const failures: string[] = [];
    for (const { document, script, exitCodes } of blocks) {
      const { code, stderr } = await run('/bin/bash', ['-euo', 'pipefail', '-c', script], env);
      if (!exitCodes.includes(code ?? -1)) failures.push(`${document}: ${script}\nexit code ${code}\n${stderr}`);
    }
    expect(failures).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
