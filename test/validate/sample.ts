import type { TargetReport, ValidationReport } from '../../engine/validate/report.ts';

const at = '2026-11-23T02:54:09.123456Z';
/** What must never become markup. */
export const hostile = `<script>alert("1 & 2")</script>'`;

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

/** A report that has something of everything. */
export const report: ValidationReport = {
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
