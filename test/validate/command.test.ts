import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { reportSchema } from '../../engine/validate/report.ts';
import { migration } from '../../sql/migration.ts';
import { lockstep } from '../cli/lockstep.ts';
import { testDatabase } from '../support/database.ts';
import { seeded, synchronize } from './support.ts';

test('lockstep validate: exit codes, --json, --counts, --repair, --html, --sample', { timeout: 120_000 }, async () => {
  await using database = await testDatabase({ template: seeded });
  await using _sync = await synchronize(database, migration);
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-page-'));
  const page = join(folder, 'report.html');
  const run = (...args: string[]) => lockstep(['validate', ...args], { LOCKSTEP_DATABASE_URL: database.url });
  try {
    const fine = await run('--html', page);
    expect([fine.code, fine.stderr]).toEqual([0, '']);
    expect(fine.stdout).toMatch(
      /media_files +agrees: 1,\d+ rows compared.*counts and rules +\d+ pass\nEvery target agrees/s,
    );
    expect(await readFile(page, 'utf8')).toContain('Both sides agree');

    await database.pool.query(
      `DELETE FROM media_files WHERE id = (SELECT id FROM media_items JOIN media_files USING (id) LIMIT 1)`,
    );
    const wrong = await run('--json');
    expect([wrong.code, wrong.stderr]).toEqual([1, '']);
    const { event, ...report } = JSON.parse(wrong.stdout);
    expect(event).toBe('validated');
    expect(reportSchema.parse(report)).toMatchObject({ agrees: false, verdict: 'differs' });
    const counts = await run('--counts');
    expect([counts.code, counts.stdout]).toEqual([1, expect.stringMatching(/FAIL \(media_migration, /)]);

    const repaired = await run('--repair', '--html', page);
    expect([repaired.code, repaired.stdout]).toEqual([
      0,
      expect.stringMatching(/media_files +agrees again, 1 rows? repaired.*\(repaired\)/s),
    ]);
    expect(await readFile(page, 'utf8')).toContain('1 row agrees again');
    expect((await run('--sample', '10', '--rate', '100000', '--max-load', '50', '--time-limit', '60')).code).toBe(0);

    const unwritable = await run('--html', '/nowhere/report.html', '--counts');
    expect([unwritable.code, unwritable.stderr]).toEqual([2, expect.stringContaining('LS_REPORT_UNWRITABLE')]);
    expect((await run('--target', 'photos')).stderr).toContain('There is no target "photos"');
  } finally {
    await rm(folder, { recursive: true });
  }
});
