import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { createReader } from '../../dashboard/read.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { migration as photomemoryMigration } from '../../sql/migration.ts';
import { addPhoto, addUsers, derive } from '../sql/world.ts';
import type { TestDatabase } from '../support/database.ts';

/** PhotoMemory's migration, and a reader of what the page shows about it. */
export function readerOf(pool: pg.Pool, migration: Migration = photomemoryMigration) {
  return createReader({ pool, migration, database: 'test' });
}

/** A listener's traces: a slot that nobody reads (a reader is another process), and a stream that says one was there. */
export async function addStream(database: TestDatabase): Promise<string> {
  const slot = `lockstep_forward_${database.name}`;
  await database.pool.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot]);
  await database.pool.query(
    `INSERT INTO lockstep.stream (direction, slot_name, publication_name, shards, epoch, listener_started_at, listener_seen_at)
     VALUES ('forward', $1, 'lockstep_forward', 16, 1, clock_timestamp(), clock_timestamp())`,
    [slot],
  );
  return slot;
}

/** Three users with a photo each, derived, and the statistics of that. */
export async function addRows(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await addUsers(client, 1, 2, 3);
    for (const n of [1, 2, 3]) await addPhoto(client, n, n);
    for (const target of ['user_subscriptions', 'media_files', 'project_media']) await derive(client, target);
    // Otherwise the server counts them when this session has been idle for a second.
    await client.query('SELECT pg_stat_force_next_flush()');
    await client.query('SELECT');
  } finally {
    client.release(true);
  }
}

export const targets = ['user_subscriptions', 'media_files', 'project_media', 'generation_jobs'] as const;

/** A run that began a minute ago: each target's scopes done, of 1,000. */
export async function addBackfill(pool: pg.Pool, done: readonly number[], finished = false): Promise<void> {
  const id = randomUUID();
  await pool.query(
    `INSERT INTO lockstep.backfill (id, direction, reason, requested_at, finished_at)
     VALUES ($1, 'forward', 'first start', clock_timestamp() - interval '1 minute', CASE WHEN $2 THEN clock_timestamp() END)`,
    [id, finished],
  );
  for (const [ordinal, target] of targets.entries()) {
    await pool.query(
      `INSERT INTO lockstep.backfill_target (backfill_id, target, ordinal, scopes_done, scopes_estimated, rows_written, started_at, finished_at)
       VALUES ($1, $2, $3, $4::int, 1000, $4::int * 2, CASE WHEN $4::int > 0 THEN clock_timestamp() - interval '1 minute' END,
               CASE WHEN $4::int >= 1000 THEN clock_timestamp() END)`,
      [id, target, ordinal, done[ordinal] ?? 0],
    );
  }
}

export async function addQuarantine(pool: pg.Pool, target: string, scopes: number): Promise<void> {
  await pool.query(
    `INSERT INTO lockstep.quarantine (direction, target, scope, sqlstate, message)
     SELECT 'forward', $1, ARRAY[gen_random_uuid()::text], '22001', 'value too long for type character varying(255)'
     FROM generate_series(1, $2)`,
    [target, scopes],
  );
}

/** A validation of everything, ten seconds ago, that found `drifted` rows of media_files not to be what they should be. */
export async function addValidation(pool: pg.Pool, drifted: number): Promise<void> {
  const id = randomUUID();
  await pool.query(
    `INSERT INTO lockstep.validation (id, direction, targets, started_at, finished_at, invocations, spent_ms, lag_ms, verdict, rows_drifted)
     VALUES ($1, 'forward', $2, clock_timestamp() - interval '10 seconds', clock_timestamp(), 1, 9000, 12, $3, $4)`,
    [id, targets, drifted > 0 ? 'differs' : 'agrees', drifted],
  );
  for (const [ordinal, target] of targets.entries()) {
    await pool.query(
      `INSERT INTO lockstep.validation_target (validation_id, target, ordinal, rows_compared, rows_expected, rows_present, finished_at)
       VALUES ($1, $2, $3, 3, 3, 3, clock_timestamp())`,
      [id, target, ordinal],
    );
  }
  await pool.query(
    `INSERT INTO lockstep.drift (direction, target, key, kind, scope, quarantined, columns, reason, validation_id)
     SELECT 'forward', 'media_files', ARRAY[n::text], 'different', ARRAY[n::text], false,
            '{"original_filename": {"expected": "a secret", "present": "another"}}', 'proved', $1
     FROM generate_series(1, $2) n`,
    [id, drifted],
  );
}

/** Messages that were sent and are not applied. */
export async function addInFlight(pool: pg.Pool, sourceKeys: Readonly<Record<string, number>>): Promise<void> {
  const keys = Object.values(sourceKeys).reduce((sum, count) => sum + count, 0);
  await pool.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count, source_keys)
     VALUES (gen_random_uuid(), 'forward', 'changes', 0, pg_current_wal_lsn(), clock_timestamp() - interval '2 seconds', $1, $2)`,
    [keys, JSON.stringify(sourceKeys)],
  );
}
