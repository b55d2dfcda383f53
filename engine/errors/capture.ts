import type { ErrorEntry } from './entry.ts';

/** Errors of capturing: server, tables, publication, slot and stream; see `engine/errors.ts`. */
export const captureErrors = {
  LS_SLOT_MISSING: {
    retry: 'once mended',
    meaning:
      'Changes are not captured. What was written to the source tables since the slot went is not in the targets.',
    remedy: 'Run `lockstep listen`: it makes a new slot, and everything is derived again.',
    exitCode: 2,
  },
  LS_SLOT_LOST: {
    retry: 'by itself',
    meaning:
      "Changes since the slot's position cannot be captured any more; the normalized tables miss them until everything is derived again.",
    remedy:
      'Start the listener (a running one does it by itself): it makes a new slot, and everything is derived again; `lockstep status` shows how far that is. Then raise max_slot_wal_keep_size, or find out why the listener was away for so long.',
    exitCode: 2,
  },
  LS_SERVER_VERSION: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy: 'Upgrade the server: publications carry only the key columns from PostgreSQL 15 on.',
    exitCode: 2,
  },
  LS_READ_REPLICA: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy:
      'Connect to the primary (on RDS and Aurora: the writer endpoint). A listener that has captured tries again by itself: the name may follow a failover late.',
    exitCode: 2,
  },
  LS_WAL_LEVEL: {
    retry: 'once mended',
    meaning: 'Nothing was read or written.',
    remedy:
      'Set wal_level = logical and restart the server (on RDS and Aurora: rds.logical_replication = 1 in the parameter group, then reboot).',
    exitCode: 2,
  },
  LS_REPLICATION_PRIVILEGE: {
    retry: 'once mended',
    meaning: 'Nothing was captured. What the slot, if there is one, has not sent yet is kept.',
    remedy:
      'As an administrator: ALTER ROLE "the role" REPLICATION (on RDS and Aurora: GRANT rds_replication TO "the role").',
    exitCode: 2,
  },
  LS_WAL_SENDERS_EXHAUSTED: {
    retry: 'by itself',
    meaning: 'Nothing was captured. What the slot, if there is one, has not sent yet is kept.',
    remedy:
      'End replication connections that are not needed (pg_stat_replication), or raise max_wal_senders and restart the server.',
    exitCode: 2,
  },
  LS_SLOTS_EXHAUSTED: {
    retry: 'once mended',
    meaning: 'Nothing was captured.',
    remedy:
      'Drop slots that are not needed (pg_replication_slots; one that nobody reads keeps WAL for ever), or raise max_replication_slots and restart the server.',
    exitCode: 2,
  },
  LS_SOURCE_MISSING: {
    retry: 'once mended',
    meaning: 'Nothing was captured or published.',
    remedy: 'Check that this is the right database, and that migration.ts names the table and its columns as they are.',
    exitCode: 2,
  },
  LS_SOURCE_KIND: {
    retry: 'once mended',
    meaning: 'Nothing was captured or published; the application is not affected.',
    remedy:
      'Name an ordinary, permanent table and stored columns in migration.ts (of a partitioned table: each partition as a source of its own).',
    exitCode: 2,
  },
  LS_SOURCE_KEY: {
    retry: 'once mended',
    meaning: 'Nothing was captured or published; without its key a changed row cannot be named.',
    remedy: 'Name the primary key in migration.ts; for a table without one: ALTER TABLE … ADD PRIMARY KEY.',
    exitCode: 2,
  },
  LS_SOURCE_IDENTITY: {
    retry: 'once mended',
    meaning:
      "Nothing was captured or published: PostgreSQL would refuse the application's UPDATE and DELETE on the table once it were published, or not name the row they change.",
    remedy: 'ALTER TABLE … REPLICA IDENTITY DEFAULT, with a primary key that is not deferrable.',
    exitCode: 2,
  },
  LS_PUBLICATION_MISSING: {
    retry: 'once mended',
    meaning: 'Nothing was captured.',
    remedy:
      'Run `lockstep migrate` (as the owner of the tables). If the publication was dropped while the slot existed, drop the slot too: changes of that time are not in it.',
    exitCode: 2,
  },
  LS_PUBLICATION_DIFFERS: {
    retry: 'once mended',
    meaning: 'Nothing more was captured; what the slot has not sent yet is kept.',
    remedy:
      'Run `lockstep migrate`, which alters it (one FOR ALL TABLES: drop it first). If the changes that are refused were written before, drop the slot: the next listener makes a new one and derives everything again.',
    exitCode: 2,
  },
  LS_PUBLICATION_GAP: {
    retry: 'once mended',
    meaning:
      'Changes that committed while the publication did not exist are not in the slot and cannot be captured from it.',
    remedy:
      "Run `lockstep migrate`, then SELECT pg_drop_replication_slot('the slot') and start the listener: it makes a new slot and derives everything again.",
    exitCode: 2,
  },
  LS_SLOT_FOREIGN: {
    retry: 'once mended',
    meaning: 'Nothing was captured.',
    remedy:
      "Find out who made the slot; if it is not needed, SELECT pg_drop_replication_slot('the slot') and start the listener again.",
    exitCode: 2,
  },
  LS_SLOT_BLOCKED: {
    retry: 'by itself',
    meaning: 'Nothing was captured; no slot was left behind.',
    remedy:
      'Let the transactions that the message names end, or end them with pg_terminate_backend, and start the listener again.',
    exitCode: 2,
  },
  LS_LISTENER_RUNNING: {
    retry: 'by itself',
    meaning: 'The other listener goes on; this one has done nothing.',
    remedy: 'Stop the other one first, or start this one as a standby, which waits for the slot.',
    exitCode: 2,
  },
  LS_LISTENER_SUPERSEDED: {
    retry: 'by itself',
    meaning: 'This listener can no longer send anything; the other one reads again what this one had not confirmed.',
    remedy: 'None is needed when a standby took over. Otherwise find the second listener and stop one of the two.',
    exitCode: 2,
  },
  LS_CONNECTION_LOST: {
    retry: 'by itself',
    meaning: 'What had not been confirmed is kept by the server and will be read again: nothing is lost.',
    remedy: 'Start the command again when the server is back; a supervised listener does so by itself.',
    exitCode: 2,
  },
  LS_STREAM_UNREADABLE: {
    retry: 'once mended',
    meaning: 'Nothing beyond this place was captured; the server keeps it.',
    remedy: 'Report it with the cause; until it is mended the slot holds WAL, so watch the disk of the server.',
    exitCode: 2,
  },
  LS_POSITION_BACKWARDS: {
    retry: 'once mended',
    meaning: 'The slot was not moved; nothing is lost.',
    remedy:
      'This is a mistake in Lockstep; report it. Starting the listener again reads from the position that the server has.',
    exitCode: 2,
  },
  LS_KEY_TOO_LARGE: {
    retry: 'once mended',
    meaning: 'Capture stops at this change; the server keeps it and all that follow.',
    remedy:
      'Shorten the value in the table, take the column out of the routing columns in migration.ts, or drop the slot after that: the next listener makes a new one and derives everything again.',
    exitCode: 2,
  },
} as const satisfies Record<string, ErrorEntry>;
