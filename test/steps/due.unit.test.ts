import { expect, test } from 'vitest';
import { dueSteps, firstDifference } from '../../engine/steps/due.ts';
import type { StepFile } from '../../engine/steps/folder.ts';
import type { StepRecord } from '../../engine/steps/record.ts';
import type { StepPhase } from '../../engine/steps/script.ts';

const file = (number: number, phase: StepPhase = 'forward', text = ''): StepFile => {
  const name = `00${number}_x.sql`;
  return { owner: 'm', number, name, path: name, text, checksum: text, transaction: true, phase, statements: [] };
};
const record = (number: number, applied = true, body = ''): StepRecord => {
  return { owner: 'm', number, name: `00${number}_x.sql`, checksum: body, body, statementsBegun: 1, applied };
};
const numbers = (steps: readonly StepFile[]) => steps.map(({ number }) => number);
const forward = { phase: 'forward', legacy: false } as const;

test('what has not been applied is due, in order; step 0 only where the legacy schema is ours to make', () => {
  const files = [file(0), file(1), file(2), file(8, 'complete')];
  expect(numbers(dueSteps(files, [], forward))).toEqual([1, 2]);
  expect(numbers(dueSteps(files, [], { ...forward, legacy: true }))).toEqual([0, 1, 2]);
  expect(numbers(dueSteps(files, [record(1)], forward))).toEqual([2]);
  expect(numbers(dueSteps(files, [record(1), record(2)], { ...forward, phase: 'complete' }))).toEqual([8]);
});

test('a step that was begun and not finished is due again, edited or not', () => {
  expect(numbers(dueSteps([file(1, 'forward', 'mended')], [record(1, false, 'broken')], forward))).toEqual([1]);
});

test('a new forward step may follow while steps of completion wait', () => {
  const files = [file(1), file(2, 'complete'), file(3)];
  expect(numbers(dueSteps(files, [record(1), record(3)], { ...forward, phase: 'complete' }))).toEqual([2]);
});

test('an edited step is refused with the line that differs', () => {
  expect(() => dueSteps([file(1, 'forward', 'a\nc')], [record(1, true, 'a\nb')], forward)).toThrow(
    /001_x.sql was edited after it was applied. Line 2 was "b" and is now "c"/,
  );
  expect(firstDifference('a', 'a\nb')).toEqual({ line: 2, before: '(end of file)', after: 'b' });
});

test('a step that is gone, or comes too late, is refused', () => {
  expect(() => dueSteps([], [record(1)], forward)).toThrow(expect.objectContaining({ code: 'LS_STEP_MISSING' }));
  expect(() => dueSteps([file(1), file(2)], [record(2)], forward)).toThrow(
    expect.objectContaining({ code: 'LS_STEP_ORDER' }),
  );
  expect(() => dueSteps([], [record(1)], forward)).toThrow(/001_x.sql \(m\) was applied, but the file is gone/);
  expect(() => dueSteps([file(1), file(2)], [record(2)], forward)).toThrow(/001_x.sql has not been applied, but 002_x/);
});
