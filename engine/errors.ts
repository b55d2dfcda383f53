import type { ErrorEntry } from './errors/entry.ts';
import { phaseErrors } from './errors/phases.ts';

export type { ErrorEntry } from './errors/entry.ts';

/**
 * Every error that Lockstep itself raises. The message says what happened, and to which row or table; the catalogue
 * says what that means for the data and what to do. SQLSTATE policy is in `engine/sqlstate.ts`.
 */
export const errorCatalogue = {
  ...phaseErrors,
  LS_CONFIG: {
    meaning: 'Nothing was read or written.',
    remedy: 'Correct the setting that the message names and run the command again.',
    exitCode: 2,
  },
  LS_DATABASE_UNREACHABLE: {
    meaning: 'Nothing was read or written.',
    remedy:
      'Check LOCKSTEP_DATABASE_URL (host, port, database, user), that the server runs, and that its firewall lets you in.',
    exitCode: 2,
  },
  LS_MIGRATION_INVALID: {
    meaning: 'Nothing was read or written.',
    remedy: 'Correct migration.ts (or the view that the message names).',
    exitCode: 2,
  },
  LS_DATABASE_REFUSED: {
    meaning: 'Nothing was read or written.',
    remedy:
      'Check user, password and database name in LOCKSTEP_DATABASE_URL or in the secret, that the role may LOGIN and CONNECT, and the connections the server allows.',
    exitCode: 2,
  },
  LS_DATABASE_TLS: {
    meaning: 'Nothing was sent to the server but the greeting; no password.',
    remedy:
      "Give the bundle of the authority that signed the server's certificate in LOCKSTEP_DATABASE_CA_FILE (RDS: global-bundle.pem), and connect by the name that the certificate has.",
    exitCode: 2,
  },
  LS_SECRET_UNREADABLE: {
    meaning: 'Nothing was read or written: without the secret there is no connection.',
    remedy:
      'Check LOCKSTEP_DATABASE_SECRET_ARN, that this role may call secretsmanager:GetSecretValue on it (and kms:Decrypt with its key), and that it has the shape RDS writes.',
    exitCode: 2,
  },
  LS_QUEUE_REFUSED: {
    meaning:
      'Messages were not accepted by the queue. Nothing is lost: the slot stays where it was, and they are sent again.',
    remedy:
      'Check LOCKSTEP_QUEUE_URL, its region, and that this role may send to, receive from and delete from the queue and use its key.',
    exitCode: 2,
  },
  LS_MESSAGE_REFUSED: {
    meaning:
      'SQS says that the message itself is at fault, so repeating it cannot help. The slot stays before it; nothing is lost.',
    remedy:
      "Compare the queue's MaximumMessageSize and type (FIFO) with infra/contract.ts; then start the listener again.",
    exitCode: 2,
  },
  LS_DATA_DIRECTORY: {
    meaning: 'The data in the directory was not touched.',
    remedy: 'Choose another directory with --data, or stop the process that uses this one.',
    exitCode: 2,
  },
  LS_PORT_IN_USE: {
    meaning: 'Nothing was started.',
    remedy: 'Choose another port, or leave the port out to get a free one.',
    exitCode: 2,
  },
  LS_LOCAL_POSTGRES: {
    meaning: 'The local PostgreSQL is not running; its data, if it had any, is as it was.',
    remedy:
      'Mend what the message says (install the packages with `npm ci`, make room, give the directory back) and start again.',
    exitCode: 2,
  },
  LS_WORKER_ENDED: {
    meaning: 'What had not been applied is still in the WAL and in the queue.',
    remedy: 'Look at what it wrote before it ended; with --data, start again to go on from there.',
    exitCode: 2,
  },
  LS_NOT_MIGRATED: {
    meaning: 'Nothing was read or written.',
    remedy: 'Run `lockstep migrate` first, or connect to the database that was meant.',
    exitCode: 2,
  },
  LS_COMPLETE: {
    meaning: 'Nothing was read or written; there is nothing left to keep in step.',
    remedy: 'Use `lockstep restore` to get the legacy tables back, or connect to the database that was meant.',
    exitCode: 2,
  },
  LS_STEP_INVALID: {
    meaning: 'No step was applied.',
    remedy: 'Correct the file at the line that the message names.',
    exitCode: 2,
  },
  LS_STEP_EDITED: {
    meaning: 'No step was applied. What the file said when it was applied is still in force.',
    remedy: 'Give the file back its text (version control has it), and put the change into a new step.',
    exitCode: 2,
  },
  LS_STEP_MISSING: {
    meaning: 'No step was applied. What the file said when it was applied is still in force.',
    remedy: 'Restore the file, or run from the checkout that has it.',
    exitCode: 2,
  },
  LS_STEP_ORDER: {
    meaning: 'No step was applied.',
    remedy: 'Give the new file a number above every step that has been applied.',
    exitCode: 2,
  },
  LS_STEP_MIGRATION: {
    meaning: 'No step was applied.',
    remedy: 'Pass the folder of that migration with --migration, or connect to another database.',
    exitCode: 2,
  },
  LS_STEP_FAILED: {
    meaning: 'The step was rolled back as a whole; the steps before it stay applied.',
    remedy: 'Correct the statement, or the data it stumbled over, and run `lockstep migrate` again.',
    exitCode: 2,
  },
  LS_STEP_HALTED: {
    meaning:
      'The step runs outside of a transaction: what stands above the statement is applied and will not run again.',
    remedy: 'Correct the statement, or the data it stumbled over, and run `lockstep migrate` again: it goes on there.',
    exitCode: 2,
  },
  LS_STEP_LOCKED: {
    meaning: 'The step was given up so that the application need not wait; the steps before it stay applied.',
    remedy: 'Let the transactions that the message names end, or end them, and run `lockstep migrate` again.',
    exitCode: 2,
  },
  LS_LOCK_BUDGET: {
    meaning:
      'Nothing was read or written. With more locks than fit, merges (and the application) would fail with "out of shared memory".',
    remedy: 'Raise max_locks_per_transaction (a restart), or lower the number of concurrent appliers.',
    exitCode: 2,
  },
  LS_SLOT_MISSING: {
    meaning:
      'Changes are not captured. What was written to the source tables since the slot went is not in the targets.',
    remedy: 'Run `lockstep listen`: it makes a new slot, and everything is derived again.',
    exitCode: 2,
  },
  LS_SLOT_LOST: {
    meaning:
      "Changes since the slot's position cannot be captured any more; the normalized tables miss them until everything is derived again.",
    remedy:
      'Start the listener (a running one does it by itself): it makes a new slot, and everything is derived again; `lockstep status` shows how far that is. Then raise max_slot_wal_keep_size, or find out why the listener was away for so long.',
    exitCode: 2,
  },
  LS_SERVER_VERSION: {
    meaning: 'Nothing was read or written.',
    remedy: 'Upgrade the server: publications carry only the key columns from PostgreSQL 15 on.',
    exitCode: 2,
  },
  LS_READ_REPLICA: {
    meaning: 'Nothing was read or written.',
    remedy: 'Connect to the primary (on RDS and Aurora: the writer endpoint).',
    exitCode: 2,
  },
  LS_WAL_LEVEL: {
    meaning: 'Nothing was read or written.',
    remedy:
      'Set wal_level = logical and restart the server (on RDS and Aurora: rds.logical_replication = 1 in the parameter group, then reboot).',
    exitCode: 2,
  },
  LS_REPLICATION_PRIVILEGE: {
    meaning: 'Nothing was captured. What the slot, if there is one, has not sent yet is kept.',
    remedy:
      'As an administrator: ALTER ROLE "the role" REPLICATION (on RDS and Aurora: GRANT rds_replication TO "the role").',
    exitCode: 2,
  },
  LS_WAL_SENDERS_EXHAUSTED: {
    meaning: 'Nothing was captured. What the slot, if there is one, has not sent yet is kept.',
    remedy:
      'End replication connections that are not needed (pg_stat_replication), or raise max_wal_senders and restart the server.',
    exitCode: 2,
  },
  LS_SLOTS_EXHAUSTED: {
    meaning: 'Nothing was captured.',
    remedy:
      'Drop slots that are not needed (pg_replication_slots; one that nobody reads keeps WAL for ever), or raise max_replication_slots and restart the server.',
    exitCode: 2,
  },
  LS_SOURCE_MISSING: {
    meaning: 'Nothing was captured or published.',
    remedy: 'Check that this is the right database, and that migration.ts names the table and its columns as they are.',
    exitCode: 2,
  },
  LS_SOURCE_KIND: {
    meaning: 'Nothing was captured or published; the application is not affected.',
    remedy:
      'Name an ordinary, permanent table and stored columns in migration.ts (of a partitioned table: each partition as a source of its own).',
    exitCode: 2,
  },
  LS_SOURCE_KEY: {
    meaning: 'Nothing was captured or published; without its key a changed row cannot be named.',
    remedy: 'Name the primary key in migration.ts; for a table without one: ALTER TABLE … ADD PRIMARY KEY.',
    exitCode: 2,
  },
  LS_SOURCE_IDENTITY: {
    meaning:
      "Nothing was captured or published: PostgreSQL would refuse the application's UPDATE and DELETE on the table once it were published, or not name the row they change.",
    remedy: 'ALTER TABLE … REPLICA IDENTITY DEFAULT, with a primary key that is not deferrable.',
    exitCode: 2,
  },
  LS_PUBLICATION_MISSING: {
    meaning: 'Nothing was captured.',
    remedy:
      'Run `lockstep migrate` (as the owner of the tables). If the publication was dropped while the slot existed, drop the slot too: changes of that time are not in it.',
    exitCode: 2,
  },
  LS_PUBLICATION_DIFFERS: {
    meaning: 'Nothing more was captured; what the slot has not sent yet is kept.',
    remedy:
      'Run `lockstep migrate`, which alters it (one FOR ALL TABLES: drop it first). If the changes that are refused were written before, drop the slot: the next listener makes a new one and derives everything again.',
    exitCode: 2,
  },
  LS_PUBLICATION_GAP: {
    meaning:
      'Changes that committed while the publication did not exist are not in the slot and cannot be captured from it.',
    remedy:
      "Run `lockstep migrate`, then SELECT pg_drop_replication_slot('the slot') and start the listener: it makes a new slot and derives everything again.",
    exitCode: 2,
  },
  LS_SLOT_FOREIGN: {
    meaning: 'Nothing was captured.',
    remedy:
      "Find out who made the slot; if it is not needed, SELECT pg_drop_replication_slot('the slot') and start the listener again.",
    exitCode: 2,
  },
  LS_SLOT_BLOCKED: {
    meaning: 'Nothing was captured; no slot was left behind.',
    remedy:
      'Let the transactions that the message names end, or end them with pg_terminate_backend, and start the listener again.',
    exitCode: 2,
  },
  LS_LISTENER_RUNNING: {
    meaning: 'The other listener goes on; this one has done nothing.',
    remedy: 'Stop the other one first, or start this one as a standby, which waits for the slot.',
    exitCode: 2,
  },
  LS_LISTENER_SUPERSEDED: {
    meaning: 'This listener can no longer send anything; the other one reads again what this one had not confirmed.',
    remedy: 'None is needed when a standby took over. Otherwise find the second listener and stop one of the two.',
    exitCode: 2,
  },
  LS_CONNECTION_LOST: {
    meaning: 'What had not been confirmed is kept by the server and will be read again: nothing is lost.',
    remedy: 'Start the command again when the server is back; a supervised listener does so by itself.',
    exitCode: 2,
  },
  LS_STREAM_UNREADABLE: {
    meaning: 'Nothing beyond this place was captured; the server keeps it.',
    remedy: 'Report it with the cause; until it is mended the slot holds WAL, so watch the disk of the server.',
    exitCode: 2,
  },
  LS_POSITION_BACKWARDS: {
    meaning: 'The slot was not moved; nothing is lost.',
    remedy:
      'This is a mistake in Lockstep; report it. Starting the listener again reads from the position that the server has.',
    exitCode: 2,
  },
  LS_KEY_TOO_LARGE: {
    meaning: 'Capture stops at this change; the server keeps it and all that follow.',
    remedy:
      'Shorten the value in the table, take the column out of the routing columns in migration.ts, or drop the slot after that: the next listener makes a new one and derives everything again.',
    exitCode: 2,
  },
  LS_REPORT_UNWRITABLE: {
    meaning: 'The validation is done and recorded in the database; only its file is missing.',
    remedy: 'Choose a place that can be written, and run the command again.',
    exitCode: 2,
  },
  LS_UPKEEP_FAILED: {
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
