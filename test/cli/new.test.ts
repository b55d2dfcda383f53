import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkout, lockstep, run, start } from './lockstep.ts';

test('`new` writes a folder elsewhere that passes its own test, is checked, and runs in `dev`', async () => {
  const place = mkdtempSync(join(tmpdir(), 'new-'));
  const folder = join(place, 'Shop Migration');
  try {
    const written = await lockstep(['new', folder, '--json']);
    expect([written.code, written.stderr]).toEqual([0, '']);
    expect(JSON.parse(written.stdout)).toMatchObject({ event: 'written', folder, name: 'shop_migration' });
    const again = await lockstep(['new', folder]);
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/is not empty.*LS_CONFIG/s)]);
    const tested = await run(process.execPath, ['--test', join(folder, 'migration.test.ts')]);
    expect([tested.code, tested.stdout]).toEqual([0, expect.stringMatching(/pass 3/)]);
    await using dev = start(['dev', '--migration', folder, '--users', '40', '--traffic', '20', '--duration', '2']);
    const ready = await dev.event('ready', 120_000);
    expect(ready.databaseUrl).toContain('/shop_migration');
    expect(await dev.ended(120_000)).toBe(0);
    expect(await dev.event('summary')).toMatchObject({ agrees: true });
  } finally {
    rmSync(place, { recursive: true });
  }
}, 400_000);

test('`check` says what is wrong, why it matters and what to do; exit 1', async () => {
  const place = mkdtempSync(join(tmpdir(), 'check-'));
  try {
    const bookings = join(checkout, 'examples/bookings');
    expect(await lockstep(['check', bookings])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Nothing is wrong with the migration "bookings"/),
    });
    writeFileSync(join(place, 'migration.ts'), `export { migration } from '${join(bookings, 'migration.ts')}';`);
    writeFileSync(join(place, '000_legacy.sql'), 'CREATE TABL nothing (id int);');
    const broken = await lockstep(['check', place]);
    expect([broken.code, broken.stdout]).toEqual([
      1,
      expect.stringMatching(
        /step-failed\n {2}Found: .*000_legacy\.sql line 1.*\n {2}Reason: .*\n {2}Fix: .*\n\n1 mistake /,
      ),
    ]);
  } finally {
    rmSync(place, { recursive: true });
  }
}, 200_000);
