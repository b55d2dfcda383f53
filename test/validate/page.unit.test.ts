import { expect, test } from 'vitest';
import { reportPage } from '../../engine/validate/page/page.ts';
import { ceiling, plot } from '../../engine/validate/page/plot.ts';
import { commonEnds } from '../../engine/validate/page/rows.ts';
import { reportSchema, type ValidationReport } from '../../engine/validate/report.ts';
import { hostile, report } from './sample.ts';

test('the page says everything, and runs and loads nothing, whatever the data holds', () => {
  expect(reportSchema.parse(report)).toEqual(report);
  const page = reportPage(report, hostile);
  expect(page).not.toContain('<script');
  expect(page).not.toMatch(/ (src|href)=|url\(|@import/);
  expect(page).toContain("default-src 'none'");
  for (const said of [
    'Both sides do not agree',
    '1,234,567',
    'media_files: 2 rows drifted.',
    'k1',
    'k9',
    'SQLSTATE 22001',
    'media migration',
    'Orphans: 30',
    '65.0 s',
    'NULL',
    'empty text',
    '41 ms',
    '29 more',
  ]) {
    expect(page, said).toContain(said);
  }
  expect(page).toContain('a.jpg<mark>␣</mark>');
});

test.each<[Partial<ValidationReport>, string]>([
  [{ verdict: 'agrees', targets: [] }, 'Both sides agree'],
  [
    { verdict: 'unproven', lag: { applied: false, barrierMs: null }, finishedAt: null, complete: false },
    'not caught up',
  ],
  [{ samplePercent: 5 }, 'A sample of 5 % of the scopes'],
])('%j', (change, said) => {
  expect(reportPage({ ...report, ...change }, 'photomemory')).toContain(said);
});

test('what two texts have in common never counts a character twice', () => {
  const ends = (a: string, b: string) => commonEnds([...a], [...b]);
  expect(ends('abc', 'abd')).toEqual({ start: 2, end: 0 });
  expect(ends('aXc', 'aYYc')).toEqual({ start: 1, end: 1 });
  expect(ends('aa', 'aaa')).toEqual({ start: 2, end: 0 });
  expect(ends('same', 'same')).toEqual({ start: 4, end: 0 });
});

test('an axis ends at a number that is read easily, and a plot stands without any run', () => {
  expect([0, 1, 3, 17, 50, 51, 999_999].map(ceiling)).toEqual([1, 1, 5, 20, 50, 100, 1_000_000]);
  expect(plot('empty', []).markup).toContain('0 runs');
});
