import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { dev } from '../../cli/new/template/dev.ts';
import { checkMigration } from '../../engine/check/check.ts';
import { checkRules } from '../../engine/check/rules.ts';
import { type DatabaseTemplate, testDatabase } from '../support/database.ts';
import { runEngineSchema, runSqlFiles } from '../support/photomemory.ts';
import { broken } from './broken.ts';
import { good, sound } from './near.ts';

const template: DatabaseTemplate = {
  name: 'new_template',
  async build(pool) {
    await runEngineSchema(pool);
    await runSqlFiles(pool, new URL('../../cli/new/template/', import.meta.url), /^\d{3}_.*\.sql$/);
  },
};
const seed = dev.seed;
if (!seed) throw new Error('the template has no seed');

test.each(sound)(
  'nothing is found in a migration that is right: $what',
  async ({ sql, migration }) => {
    await using database = await testDatabase({ template });
    await database.pool.query(sql);
    const report = await checkMigration({ pool: database.pool, migration, seed });
    expect(report.findings).toEqual([]);
    expect(report.rehearsed.forward).toBeGreaterThan(30);
  },
  300_000,
);

test.each(broken)(
  'found: $mistake ($rule)',
  async ({ rule, subject, alongside = [], sql, migration }) => {
    await using database = await testDatabase({ template });
    if (sql !== undefined) await database.pool.query(sql);
    const { findings } = await checkMigration({
      pool: database.pool,
      migration: migration ?? good,
      seed,
      transactions: 60,
    });
    expect(findings).toContainEqual(expect.objectContaining({ rule, subject, found: expect.any(String) }));
    expect(findings.filter((finding) => ![rule, ...alongside].includes(finding.rule))).toEqual([]);
  },
  300_000,
);

test('each rule is broken by one of these', () => {
  const rules = new Set<string>(broken.map(({ rule }) => rule));
  // Numbered SQL that does not run is for the command to find.
  expect(Object.keys(checkRules).filter((rule) => !rules.has(rule))).toEqual(['step-failed']);
});

test('the guide names each rule', async () => {
  const guide = await readFile(new URL('../../docs/your-own-migration.md', import.meta.url), 'utf8');
  expect(Object.keys(checkRules).filter((rule) => !guide.includes(`\`${rule}\``))).toEqual([]);
});
