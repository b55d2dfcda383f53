import { expect, test } from 'vitest';
import { switchLock } from '../../engine/locks.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import { arm } from '../../engine/phases/arm.ts';
import type { SwitchOptions } from '../../engine/phases/switch.ts';
import { silent } from '../../engine/telemetry.ts';
import { startApplying, startListening } from '../e2e/world.ts';
import { migration } from '../migrations/library/migration.ts';
import { eventually } from '../support/eventually.ts';
import { catalogs, type Library, stillLibrary } from './world.ts';

/** What is against a cutover now, by name; each with a reason and a remedy. */
async function against(library: Library, options: Partial<SwitchOptions> = {}): Promise<Record<string, string>> {
  const result = await library.change('cutover', { dryRun: true, ...options });
  if (result.outcome === 'possible') return {};
  if (result.outcome !== 'refused') throw new Error(result.outcome);
  for (const { reason, remedy } of result.refusals) expect(reason.length * remedy.length).toBeGreaterThan(200);
  return Object.fromEntries(result.refusals.map(({ name, reason }) => [name, reason]));
}

const oldEntry = (library: Library, age: string) =>
  library.database.pool.query(
    `INSERT INTO lockstep.in_flight (id, direction, kind, shard, commit_lsn, committed_at, key_count)
     VALUES (gen_random_uuid(), 'forward', 'changes', 0, '0/1', now() - $1::interval, 1)`,
    [age],
  );

test('every reason against a cutover is told at once, with what to do; a dry run changes nothing', async () => {
  await using library = await stillLibrary();
  const { app, database } = library;
  await using _applying = await startApplying(library);
  await using listening = await startListening(library);
  await library.settle();

  expect(await against(library)).toEqual({
    'not-armed': expect.stringContaining('`lockstep arm` has not run'),
    'not-validated': expect.stringContaining('Not every row has been compared'),
  });
  await library.arm();
  expect(Object.keys(await against(library))).toEqual(['not-validated']);
  await library.validate();
  const before = await catalogs(database.pool);
  expect(await against(library)).toEqual({});
  expect(await library.change('rollback', { dryRun: true })).toMatchObject({ refusals: [{ name: 'wrong-phase' }] });

  expect(await against(library, { deadLetters: 3, limits: { validatedWithinMs: 1 } })).toEqual({
    'dead-letters': expect.stringContaining('3 messages'),
    'not-validated': expect.stringMatching(/began .* s ago; at most 0\.0 s are allowed/),
  });

  const writer = await database.client();
  await writer.query("BEGIN; UPDATE library.people SET name = 'x' WHERE id = 1");
  expect(await against(library, { limits: { transactionAgeMs: 0 } })).toEqual({
    'long-transaction': expect.stringMatching(/process \d+ \(test, user/),
  });
  await writer.query('ROLLBACK');

  await app.query("UPDATE library.people SET plan = 'gold' WHERE id = 2");
  await library.settle();
  expect(await against(library)).toEqual({ quarantine: expect.stringMatching(/1 scopes.*memberships/) });
  await app.query("UPDATE library.people SET plan = 'basic' WHERE id = 2");
  await library.settle();

  await oldEntry(library, '1 hour');
  expect(await against(library, { limits: { lagMs: 200 } })).toEqual({
    'in-flight-too-old': expect.stringMatching(/ 36\d\d s ago/),
  });
  await database.pool.query('DELETE FROM lockstep.in_flight');
  await oldEntry(library, '0 s');
  expect(await against(library, { limits: { lagMs: 200 } })).toEqual({ lag: expect.stringContaining('within 0.2 s') });
  await database.pool.query('DELETE FROM lockstep.in_flight');

  const other = await database.client();
  await other.query('SELECT pg_advisory_lock($1)', [switchLock()]);
  expect(Object.keys(await against(library))).toEqual(['already-under-way']);
  expect(await library.change('cutover')).toMatchObject({ refusals: [{ name: 'already-under-way' }] });
  await other.end();

  expect(await catalogs(database.pool)).toEqual(before);

  await listening[Symbol.asyncDispose]();
  const down = await library.change('cutover');
  expect(down).toMatchObject({ outcome: 'refused', refusals: [{ name: 'listener-down' }, { name: 'listener-down' }] });
  expect(await library.phase()).toBe('forward');
  expect(await catalogs(database.pool)).toEqual(before);
});

test('a row that someone has damaged since the last validation stops the cutover, and no trace of it stays', async () => {
  await using library = await stillLibrary();
  const { database, app } = library;
  await using _applying = await startApplying(library);
  await using _listening = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  const before = await catalogs(database.pool);

  await app.query("UPDATE library.borrowings SET remark = 'damaged' WHERE id = 7");
  expect(await library.change('cutover')).toMatchObject({
    outcome: 'aborted',
    refusals: [{ name: 'drift', reason: expect.stringContaining('borrowings (7) different in remark') }],
  });
  // A trigger that is not even asked when a replica writes would have missed it.
  await app.query(
    'UPDATE library.borrowings b SET remark = l.note FROM library.loans l WHERE l.id = b.id AND b.id = 7',
  );
  await app.query(
    'BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM library.borrowings WHERE id = 8; COMMIT',
  );
  expect(await library.change('cutover')).toMatchObject({
    outcome: 'aborted',
    refusals: [{ name: 'drift', reason: expect.stringContaining('borrowings (8) missing') }],
  });
  await app.query('TRUNCATE library.borrowings');
  expect(await library.change('cutover')).toMatchObject({
    outcome: 'aborted',
    refusals: [{ name: 'drift', reason: expect.stringContaining('borrowings was truncated') }],
  });
  expect(await library.phase()).toBe('forward');
  expect(await catalogs(database.pool)).toEqual(before);
  await app.query("UPDATE library.loans SET note = 'still open for writing' WHERE id = 1");
});

test('two cutovers at once: one is done, the other is told so, and asking again changes nothing', async () => {
  await using library = await stillLibrary();
  await using _applying = await startApplying(library);
  await using _listening = await startListening(library);
  await library.settle();
  await library.arm();
  await library.validate();
  const outcomes = await Promise.all([library.change('cutover'), library.change('cutover')]);
  const kinds = outcomes.map(({ outcome }) => outcome).sort();
  expect(kinds).toEqual([expect.stringMatching(/already|refused/), 'switched']);
  expect(await library.change('cutover')).toMatchObject({ outcome: 'already', phase: 'reverse' });
  await eventually(async () => (await library.phase()) === 'reverse');
  const { rows } = await library.app.query('SELECT count(*)::int AS changes FROM lockstep.phase_change');
  expect(rows).toEqual([{ changes: 1 }]);
});

test('a table that a rewrite rule is on cannot be merged into, so it cannot be armed; without the rule it can', async () => {
  await using library = await stillLibrary();
  const { app, database } = library;
  const loud = (table: string) =>
    app.query(`CREATE RULE "on ${table}" AS ON UPDATE TO ${table} DO ALSO NOTIFY changed`);
  const armed = async () => arm({ client: await database.client(), migration, telemetry: silent });
  const before = await catalogs(database.pool);
  for (const { relation } of [...migration.forward.targets, ...(migration.reverse?.targets ?? [])]) {
    const table = `${relation.schema}.${relation.name}`;
    await loud(table);
    await expect(armed(), table).rejects.toMatchObject({
      code: 'LS_TARGET_RULE',
      message: expect.stringContaining(`"on ${table}"`),
    });
    await app.query(`DROP RULE "on ${table}" ON ${table}`);
  }
  expect(await catalogs(database.pool)).toEqual(before);
  await loud('library.people');
  await app.query('ALTER TABLE library.people DISABLE RULE "on library.people"');
  await armed();
});

test('a table that others hold is told of, and nothing is armed; a migration without a way back cannot be', async () => {
  await using library = await stillLibrary();
  const { database } = library;
  const before = await catalogs(database.pool);
  const armed = async (of: Migration) =>
    arm({
      client: await database.client(),
      migration: of,
      telemetry: silent,
      limits: { lockTimeoutMs: 50, patienceMs: 200, pauseMs: 20 },
    });
  const holder = await database.client();
  await holder.query('BEGIN; LOCK TABLE library.loans IN ACCESS EXCLUSIVE MODE');
  await expect(armed(migration)).rejects.toMatchObject({
    code: 'LS_ARM_LOCKED',
    message: expect.stringMatching(/locked by others.*pid \d+/s),
  });
  await holder.query('ROLLBACK');
  const { reverse: _reverse, ...oneWay } = migration;
  await expect(armed(oneWay)).rejects.toMatchObject({ code: 'LS_NO_WAY_BACK' });
  const { guards: _guards, ...unguarded } = migration;
  await expect(armed(unguarded)).rejects.toMatchObject({
    code: 'LS_NO_WAY_BACK',
    message: expect.stringContaining('declares no guards'),
  });
  expect(await catalogs(database.pool)).toEqual(before);
  await armed(migration);
});
