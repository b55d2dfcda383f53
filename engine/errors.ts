import { captureErrors } from './errors/capture.ts';
import type { ErrorEntry } from './errors/entry.ts';
import { phaseErrors } from './errors/phases.ts';
import { stepErrors } from './errors/steps.ts';

export type { ErrorEntry, RetryPolicy } from './errors/entry.ts';

/**
 * Every error that Lockstep itself raises. The message says what happened, and to which row or table; the catalogue
 * says what that means for the data, whether repeating helps, and what to do. SQLSTATE policy is in `engine/sqlstate.ts`.
 */
export const errorCatalogue = {
  ...phaseErrors,
  ...stepErrors,
  ...captureErrors,
  LS_CONFIG: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy: 'Correct the setting that the message names and run the command again.',
    exitCode: 2,
  },
  LS_DATABASE_UNREACHABLE: {
    retry: 'by itself',
    meaning: 'Nothing was read or written.',
    remedy:
      'Check LOCKSTEP_DATABASE_URL (host, port, database, user), that the server runs, and that its firewall lets you in.',
    exitCode: 2,
  },
  LS_DATABASE_LOST: {
    retry: 'later',
    meaning:
      'Every transaction that had committed is kept, and every other one was rolled back; synchronization can go on.',
    remedy:
      'See whether the server is back (`lockstep status`), then run the same command again: what is done already is not done twice, and `lockstep validate --resume` goes on with its run.',
    exitCode: 2,
  },
  LS_MIGRATION_INVALID: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy: 'Correct migration.ts (or the view that the message names).',
    exitCode: 2,
  },
  LS_DATABASE_REFUSED: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy:
      'Check user, password and database name in LOCKSTEP_DATABASE_URL or in the secret, that the role may LOGIN and CONNECT, and the connections the server allows.',
    exitCode: 2,
  },
  LS_DATABASE_TLS: {
    retry: 'once mended',
    meaning: 'Nothing was sent to the server but the greeting; no password.',
    remedy:
      "Give the bundle of the authority that signed the server's certificate in LOCKSTEP_DATABASE_CA_FILE (RDS: global-bundle.pem), and connect by the name that the certificate has.",
    exitCode: 2,
  },
  LS_SECRET_UNREADABLE: {
    retry: 'once mended',
    meaning: 'Nothing was read or written: without the secret there is no connection.',
    remedy:
      'Check LOCKSTEP_DATABASE_SECRET_ARN, that this role may call secretsmanager:GetSecretValue on it (and kms:Decrypt with its key), and that it has the shape RDS writes. A listener that has captured tries again by itself.',
    exitCode: 2,
  },
  LS_QUEUE_REFUSED: {
    retry: 'once mended',
    meaning:
      'Messages were not accepted by the queue. Nothing is lost: the slot stays where it was, and they are sent again.',
    remedy:
      'Check LOCKSTEP_QUEUE_URL, its region, and that this role may send to, receive from and delete from the queue and use its key.',
    exitCode: 2,
  },
  LS_MESSAGE_REFUSED: {
    retry: 'once mended',
    meaning:
      'SQS says that the message itself is at fault, so repeating it cannot help. The slot stays before it; nothing is lost.',
    remedy:
      "Compare the queue's MaximumMessageSize and type (FIFO) with infra/contract.ts; then start the listener again.",
    exitCode: 2,
  },
  LS_DATA_DIRECTORY: {
    retry: 'once mended',
    meaning: 'The data in the directory was not touched.',
    remedy: 'Choose another directory with --data, or stop the process that uses this one.',
    exitCode: 2,
  },
  LS_PORT_IN_USE: {
    retry: 'later',
    meaning: 'Nothing was started.',
    remedy: 'Choose another port, or leave the port out to get a free one.',
    exitCode: 2,
  },
  LS_LOCAL_POSTGRES: {
    retry: 'once mended',
    meaning: 'The local PostgreSQL is not running; its data, if it had any, is as it was.',
    remedy:
      'Mend what the message says (install the packages with `npm ci`, make room, give the directory back) and start again.',
    exitCode: 2,
  },
  LS_WORKER_ENDED: {
    retry: 'later',
    meaning: 'What had not been applied is still in the WAL and in the queue.',
    remedy: 'Look at what it wrote before it ended; with --data, start again to go on from there.',
    exitCode: 2,
  },
  LS_NOT_MIGRATED: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy: 'Run `lockstep migrate` first, or connect to the database that was meant.',
    exitCode: 2,
  },
  LS_COMPLETE: {
    retry: 'once mended',
    meaning: 'Nothing was read or written; there is nothing left to keep in step.',
    remedy: 'Use `lockstep restore` to get the legacy tables back, or connect to the database that was meant.',
    exitCode: 2,
  },
  LS_LOCK_BUDGET: {
    retry: 'once mended',
    meaning:
      'Nothing was read or written. With more locks than fit, merges (and the application) would fail with "out of shared memory".',
    remedy: 'Raise max_locks_per_transaction (a restart), or lower the number of concurrent appliers.',
    exitCode: 2,
  },
  LS_REPORT_UNWRITABLE: {
    retry: 'once mended',
    meaning: 'The validation is done and recorded in the database; only its file is missing.',
    remedy: 'Choose a place that can be written, and run the command again.',
    exitCode: 2,
  },
  LS_UPKEEP_FAILED: {
    retry: 'once mended',
    meaning:
      'Synchronization goes on. What the statement should have made (a partition for next month) is still missing.',
    remedy: 'Run the statement by hand to see what it says, mend that, and invoke the function again.',
    exitCode: 2,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

export class LockstepError extends Error {
  override readonly name = 'LockstepError';
  readonly code: ErrorCode;

  /** `message`: what happened, to which row or table, in a sentence. Never row data or connection strings. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get entry(): ErrorEntry {
    return errorCatalogue[this.code];
  }
}
