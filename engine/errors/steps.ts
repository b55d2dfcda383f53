import type { ErrorEntry } from './entry.ts';

/** Errors of the numbered SQL; see `engine/errors.ts`. */
export const stepErrors = {
  LS_STEP_INVALID: {
    retry: 'once mended',
    meaning: 'No step was applied.',
    remedy: 'Correct the file at the line that the message names.',
    exitCode: 2,
  },
  LS_STEP_EDITED: {
    retry: 'once mended',
    meaning: 'No step was applied. What the file said when it was applied is still in force.',
    remedy: 'Give the file back its text (version control has it), and put the change into a new step.',
    exitCode: 2,
  },
  LS_STEP_MISSING: {
    retry: 'once mended',
    meaning: 'No step was applied. What the file said when it was applied is still in force.',
    remedy: 'Restore the file, or run from the checkout that has it.',
    exitCode: 2,
  },
  LS_STEP_ORDER: {
    retry: 'once mended',
    meaning: 'No step was applied.',
    remedy: 'Give the new file a number above every step that has been applied.',
    exitCode: 2,
  },
  LS_STEP_MIGRATION: {
    retry: 'once mended',
    meaning: 'No step was applied.',
    remedy: 'Pass the folder of that migration with --migration, or connect to another database.',
    exitCode: 2,
  },
  LS_STEP_FAILED: {
    retry: 'once mended',
    meaning: 'The step was rolled back as a whole; the steps before it stay applied.',
    remedy: 'Correct the statement, or the data it stumbled over, and run `lockstep migrate` again.',
    exitCode: 2,
  },
  LS_STEP_HALTED: {
    retry: 'once mended',
    meaning:
      'The step runs outside of a transaction: what stands above the statement is applied and will not run again.',
    remedy: 'Correct the statement, or the data it stumbled over, and run `lockstep migrate` again: it goes on there.',
    exitCode: 2,
  },
  LS_STEP_LOCKED: {
    retry: 'later',
    meaning: 'The step was given up so that the application need not wait; the steps before it stay applied.',
    remedy: 'Let the transactions that the message names end, or end them, and run `lockstep migrate` again.',
    exitCode: 2,
  },
} as const satisfies Record<string, ErrorEntry>;
