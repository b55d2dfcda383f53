import { expect, test } from 'vitest';
import { createApplier } from '../../engine/apply/applier.ts';
import { silent } from '../../engine/telemetry.ts';
import { startApplying, startListening } from '../e2e/world.ts';
import { changes } from '../support/deliver.ts';
import { stillLibrary } from './world.ts';

test('a forward message that comes after the cutover changes nothing, and holds up nothing later', async () => {
  await using library = await stillLibrary();
  const { app, database } = library;
  {
    await using _applying = await startApplying(library);
    await using _listening = await startListening(library);
    await library.settle();
    await library.arm();
    await library.validate();
    // Of an earlier time in which legacy was kept in step.
    await database.pool.query(
      `INSERT INTO lockstep.backfill (id, direction, reason) VALUES (gen_random_uuid(), 'reverse', 'test')`,
    );
    expect(await library.change('cutover')).toMatchObject({ outcome: 'switched' });
    expect((await app.query('SELECT FROM lockstep.backfill WHERE finished_at IS NULL')).rowCount).toBe(0);
  }
  // Nobody applies: legacy does not have this yet, and a merge from there would take it back.
  await app.query("UPDATE library.borrowings SET remark = 'new' WHERE id = 1");
  const late = await changes(database.pool, { loans: [['1', '2']] });
  const applier = createApplier({ pool: database.pool, loaded: library.loaded, telemetry: silent });
  expect(await applier.apply([late], { deadlineMs: Date.now() + 10_000 })).toEqual([{ kind: 'fenced' }]);
  const remark = async (table: string, column: string) =>
    (await app.query(`SELECT ${column} AS value FROM library.${table} WHERE id = 1`)).rows[0]?.value;
  expect(await remark('borrowings', 'remark')).toBe('new');
  expect((await app.query('SELECT FROM lockstep.in_flight')).rowCount).toBe(0);

  await using _applying = await startApplying(library);
  await using _listening = await startListening(library);
  await library.equal();
  expect(await remark('loans', 'note')).toBe('new');
});

test('a transaction whose snapshot is older than the cutover is refused as well, and what cascades is not', async () => {
  await using library = await stillLibrary();
  const { app, database } = library;
  await using _applying = await startApplying(library);
  await using _listening = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  const old = await database.client();
  await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM library.people');
  expect(await library.change('cutover')).toMatchObject({ outcome: 'switched' });
  await expect(old.query("INSERT INTO library.loans VALUES (900, 1, 'late', NULL)")).rejects.toMatchObject({
    code: 'LS001',
  });
  await old.query('ROLLBACK');
  // Saying so is not enough: only a role that keeps the ledger is believed.
  await app.query('CREATE ROLE lockstep_test_app').catch(() => undefined);
  await app.query(
    'GRANT USAGE ON SCHEMA library TO lockstep_test_app; GRANT ALL ON ALL TABLES IN SCHEMA library TO lockstep_test_app',
  );
  await expect(
    app.query("BEGIN; SET LOCAL ROLE lockstep_test_app; SET LOCAL lockstep.applier = 'on'; TRUNCATE library.loans"),
  ).rejects.toMatchObject({ code: 'LS001' });
  await app.query('ROLLBACK');
  await app.query('DELETE FROM library.people WHERE id = 3');
  await library.equal();
  expect((await app.query('SELECT FROM library.loans WHERE person_id = 3')).rowCount).toBe(0);
  await app.query('REASSIGN OWNED BY lockstep_test_app TO CURRENT_USER; DROP OWNED BY lockstep_test_app');
});
