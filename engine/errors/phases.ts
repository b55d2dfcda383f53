import type { ErrorEntry } from './entry.ts';

/** Errors of arming and of changes of the phase; see `engine/errors.ts`. */
export const phaseErrors = {
  LS_NO_WAY_BACK: {
    retry: 'once mended',
    meaning: 'Nothing was changed. The migration can be followed, but not be cut over.',
    remedy: 'Declare `reverse` in migration.ts: its views, sources and targets, and the guards of both sides.',
    exitCode: 2,
  },
  LS_ARM_LOCKED: {
    retry: 'later',
    meaning:
      'Nothing was changed: arming is one transaction, and it was rolled back. Writers waited a second at most each time.',
    remedy: 'End the transactions that the message names, or wait for them, and run `lockstep arm` again.',
    exitCode: 2,
  },
  LS_TARGET_RULE: {
    retry: 'once mended',
    meaning:
      'Nothing was changed. Armed and cut over, the first merge into the table would have failed, and all after it.',
    remedy:
      'Put what the rule does into a trigger and drop the rule, or switch it off with ALTER TABLE … DISABLE RULE …; then run `lockstep arm` again.',
    exitCode: 2,
  },
  LS_PHASE_REFUSED: {
    retry: 'once mended',
    meaning: 'Nothing was changed: the phase is as it was.',
    remedy: '`lockstep status` shows the phase. Forward can be cut over; reverse can be rolled back or completed.',
    exitCode: 1,
  },
  LS_COMPLETION_BUSY: {
    retry: 'later',
    meaning: 'Nothing was changed: the phase is as it was, and the legacy tables are where they were.',
    remedy: 'Wait until the other one has ended; `lockstep status` shows the phase. Then run it again.',
    exitCode: 1,
  },
  LS_RESTORE_FAILED: {
    retry: 'once mended',
    meaning:
      'Nothing was restored: the transaction was rolled back, the normalized tables are the only side, and the backup is untouched.',
    remedy:
      'Correct what the message names in rollback_to_legacy.sql, or in the database, and run `lockstep restore` again.',
    exitCode: 2,
  },
  LS_UNCONFIRMED: {
    retry: 'once mended',
    meaning: 'Nothing was changed.',
    remedy: 'Confirm when asked, or give --yes where nobody can be asked (a script, a pipeline).',
    exitCode: 2,
  },
} as const satisfies Record<string, ErrorEntry>;
