import { expect, test } from 'vitest';
import type { BackfillProgress } from '../../engine/backfill/record.ts';
import { recoveryFindings } from '../../engine/status/recovery.ts';

const run: BackfillProgress = {
  id: 'r',
  reason: 'slot lost',
  requestedAt: '2026-01-01',
  finishedAt: null,
  paused: false,
  target: 't',
  scopesDone: 1,
  scopesEstimated: 2,
  rowsWritten: 0,
  startedAt: null,
  targetFinishedAt: null,
};

test('while a run makes good what was lost, status says so and how far it is', () => {
  const texts = (...targets: Partial<BackfillProgress>[]) =>
    recoveryFindings(targets.map((target) => ({ ...run, ...target }))).map(({ level, text }) => `${level}: ${text}`);
  expect(texts({ targetFinishedAt: '2026-01-02' }, {})).toEqual([
    expect.stringMatching(/^broken: The slot was lost.*1 of 2 targets are done.*--status/),
  ]);
  expect(texts({ reason: 'messages lost', paused: true })).toEqual([
    expect.stringMatching(/^broken: Messages were lost by the queue.*paused.*--resume/),
  ]);
  expect(texts({ reason: 'first start' }, { reason: 'operator' }, { finishedAt: '2026-01-03' })).toEqual([]);
});
