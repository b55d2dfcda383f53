import { LockstepError } from '../errors.ts';
import type { StepFile } from './folder.ts';
import type { StepRecord } from './record.ts';
import type { StepPhase } from './script.ts';

export interface DueOptions {
  readonly phase: StepPhase;
  /** Whether step 000 is due: it makes the legacy schema, which every database but a local one already has. */
  readonly legacy: boolean;
}

const order: readonly StepPhase[] = ['forward', 'completion', 'complete'];

/**
 * Which steps of one owner are to be applied, in order. A step that was begun outside of a transaction and not
 * finished is due again. Throws LS_STEP_EDITED, LS_STEP_MISSING or LS_STEP_ORDER when files and records contradict
 * each other: the same folder must give the same schema everywhere.
 */
export function dueSteps(
  files: readonly StepFile[],
  records: readonly StepRecord[],
  { phase, legacy }: DueOptions,
): StepFile[] {
  const byName = new Map(records.map((record) => [record.name, record]));
  for (const record of records) {
    const file = files.find(({ name }) => name === record.name);
    if (!file) throw missing(record);
    if (record.applied && file.checksum !== record.checksum) throw edited(file, record);
  }
  const due = files.filter((file) => {
    if (byName.get(file.name)?.applied) return false;
    return (file.number > 0 || legacy) && order.indexOf(file.phase) <= order.indexOf(phase);
  });
  for (const file of due) {
    const later = files.find(
      (other) => other.number > file.number && other.phase === file.phase && byName.get(other.name)?.applied,
    );
    if (later) throw outOfOrder(file, later);
  }
  return due;
}

/** The first line in which two texts differ, from 1. */
export function firstDifference(before: string, after: string): { line: number; before: string; after: string } {
  const [old, now] = [before.split('\n'), after.split('\n')];
  let index = 0;
  while (index < old.length && old[index] === now[index]) index += 1;
  return { line: index + 1, before: old[index] ?? '(end of file)', after: now[index] ?? '(end of file)' };
}

function edited(file: StepFile, record: StepRecord): LockstepError {
  const difference = firstDifference(record.body, file.text);
  return new LockstepError(
    'LS_STEP_EDITED',
    `${file.path} was edited after it was applied. Line ${difference.line} was "${difference.before.trim()}" ` +
      `and is now "${difference.after.trim()}".`,
  );
}

function missing(record: StepRecord): LockstepError {
  return new LockstepError('LS_STEP_MISSING', `${record.name} (${record.owner}) was applied, but the file is gone.`);
}

function outOfOrder(file: StepFile, later: StepFile): LockstepError {
  return new LockstepError('LS_STEP_ORDER', `${file.path} has not been applied, but ${later.name} after it has.`);
}
