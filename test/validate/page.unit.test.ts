import { expect, test } from 'vitest';
import { reportPage } from '../../engine/validate/page/page.ts';
import { ceiling, plot } from '../../engine/validate/page/plot.ts';
import { commonEnds } from '../../engine/validate/page/rows.ts';
import { reportSchema, type TargetReport, type ValidationReport } from '../../engine/validate/report.ts';

const at = '2026-11-23T02:54:09.123456Z';
const hostile = `<script>alert("1 & 2")</script>'`;

const target: TargetReport = {
  target: 'media_files',
  table: 'public.media_files',
  view: 'lockstep_forward.media_files',
  complete: true,
  compared: 1_234_567,
  expected: 1_234_566,
  present: 1_234_566,
  missing: 1,
  extra: 1,
  different: 1,
  repaired: 1,
  drift: [
    {
      kind: 'different',
      key: { id: 'k1' },
      scope: ['k1'],
      foundInScope: ['k9'],
      columns: {
        original_filename: { expected: `${hostile} a.jpg`, present: `${hostile} a.jpg ` },
        thumbnail_url: { expected: '', present: null },
      },
      quarantined: false,
      reason: 'proved',
      firstSeenAt: at,
      lastSeenAt: at,
      repairedAt: at,
    },
    {
      kind: 'missing',
      key: { id: 'k2' },
      scope: ['k2'],
      columns: { id: { expected: 'k2', present: null } },
      quarantined: false,
      reason: 'proved',
      firstSeenAt: at,
      lastSeenAt: at,
      repairedAt: null,
    },
    {
      kind: 'extra',
      key: { id: hostile },
      scope: ['k3'],
      columns: {},
      quarantined: false,
      reason: 'proved',
      firstSeenAt: at,
      lastSeenAt: at,
      repairedAt: null,
    },
  ],
  unsettled: { scopes: 0, examples: [] },
  quarantined: {
    scopes: 2,
    differingRows: 1,
    examples: [
      {
        scope: ['q1'],
        sqlState: '22001',
        message: hostile,
        detail: hostile,
        firstFailedAt: at,
        lastFailedAt: at,
        attempts: 3,
      },
    ],
    rows: [],
  },
};

const report: ValidationReport = {
  version: 1,
  run: '5b9c7d3e-31e5-4f26-a29d-3bdb05d20c55',
  direction: 'forward',
  startedAt: at,
  finishedAt: at,
  agrees: false,
  verdict: 'differs',
  reasons: ['media_files: 2 rows drifted.'],
  complete: true,
  samplePercent: null,
  invocations: 2,
  spentMs: 65_000,
  lag: { applied: true, barrierMs: 41 },
  targets: [target],
  checks: [
    { level: 'counts', name: 'media_migration', outcome: 'fail', values: { old_count: '7', new_count: hostile } },
  ],
  repair: { outcome: 'done', rows: 1, scopes: 1, inserted: 0, updated: 1, deleted: 0, quarantined: 0 },
  listings: [{ title: 'Orphans', rows: 30, columns: ['key', 'reason'], examples: [[hostile, null]] }],
  trend: [
    {
      run: '5b9c7d3e-31e5-4f26-a29d-3bdb05d20c55',
      startedAt: at,
      verdict: 'differs',
      compared: 10,
      drift: 2,
      quarantinedRows: 1,
      lagMs: null,
      spentMs: 1,
    },
    {
      run: '5b9c7d3e-31e5-4f26-a29d-3bdb05d20c56',
      startedAt: at,
      verdict: 'agrees',
      compared: 10,
      drift: 0,
      quarantinedRows: 1,
      lagMs: 12,
      spentMs: 1,
    },
  ],
};

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
