import { expect, test } from 'vitest';
import { type Phase, type PhaseChange, phaseAfter, refusalOf } from '../../engine/phases/transitions.ts';

const phases: Phase[] = ['forward', 'reverse', 'complete'];
const changes: PhaseChange[] = ['cutover', 'rollback', 'completion', 'restoration'];

test('forward and reverse lead to each other, only reverse to complete, and only a restoration back from there', () => {
  const allowed = phases.flatMap((phase) =>
    changes.flatMap((change) => {
      const to = phaseAfter(phase, change);
      return to === undefined ? [] : [`${phase} --${change}--> ${to}`];
    }),
  );
  expect(allowed).toEqual([
    'forward --cutover--> reverse',
    'reverse --rollback--> forward',
    'reverse --completion--> complete',
    'complete --restoration--> reverse',
  ]);
});

test('a refusal says which side is the truth', () => {
  expect(refusalOf('forward', 'rollback')).toMatch(/legacy tables are the truth/);
  expect(refusalOf('reverse', 'cutover')).toMatch(/normalized tables are the truth/);
  expect(refusalOf('complete', 'cutover')).toMatch(/complete/);
});
