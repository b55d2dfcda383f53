/** A listener of the direction that is not the active one. */
import { expect, test } from 'vitest';
import { ensurePublication } from '../../engine/capture/publication.ts';
import { parseLsn } from '../../engine/lsn.ts';
import type { Direction } from '../../engine/migration/contract.ts';
import { migration } from '../migrations/library/migration.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { libraryTemplate } from '../support/library.ts';
import { Inbox, startListener } from './support.ts';

test('what fills a round before the phase is known is dropped, and the slot moves on', async () => {
  await using database = await testDatabase({ template: libraryTemplate });
  const { pool } = database;
  const direction = migration.reverse as Direction;
  await ensurePublication(pool, 'reverse', direction);
  const inbox = new Inbox(migration);
  const overrides = { directionName: 'reverse', direction, limits: { keysPerRound: 2 } } as const;
  await (await startListener(database, migration, inbox, overrides)).stop();
  // More than comes in one piece: the rest stays in the socket. Nothing of the WAL is before it; a keepalive that the server
  // sends first, as it does when it has had to wait, moves the slot on as well.
  const own = `FROM pg_replication_slots WHERE database = current_database()`;
  // The server may take a moment to notice that the listener is gone.
  await eventually(() => pool.query(`SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) ${own}`));
  await pool.query(`INSERT INTO library.people SELECT n, 'p' FROM generate_series(1, 20000) n`);
  const { rows } = await pool.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');

  // The server sends at once; who has taken the slot has still to take over, and waits for this row.
  const holder = await database.client();
  await holder.query('BEGIN; SELECT FROM lockstep.stream FOR UPDATE');
  const starting = startListener(database, migration, inbox, overrides);
  await eventually(
    async () =>
      (await pool.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"))
        .rowCount,
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  await holder.query('COMMIT');
  await using _listener = await starting;
  const slot = `SELECT confirmed_flush_lsn::text AS lsn ${own}`;
  await eventually(async () => parseLsn((await pool.query(slot)).rows[0].lsn) >= parseLsn(rows[0]?.lsn ?? ''));
  expect(inbox.changes).toEqual([]);
});
