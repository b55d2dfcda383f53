import { expect, test } from 'vitest';
import { beginMerge, passFence } from '../../engine/merge/transaction.ts';
import { changePhase } from '../../engine/phases/change.ts';
import type { Phase } from '../../engine/phases/transitions.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { warehouseTemplate } from '../support/warehouse.ts';

test('a merge that is under way ends before the phase changes, and the next one finds it changed', async () => {
  await using database = await testDatabase({ template: warehouseTemplate });
  const [merge, cutover, late] = [await database.client(), await database.client(), await database.client()];
  await beginMerge(merge, 'forward', {});
  expect(await passFence(merge, 'forward', [])).toBe(true);

  await cutover.query('BEGIN');
  let changed = false;
  const change = changePhase(cutover, 'cutover').then((result) => {
    changed = true;
    return result;
  });
  await eventually(async () => {
    const waiting = await database.pool.query(
      `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    return waiting.rowCount === 1;
  });
  expect(changed).toBe(false);
  await merge.query('COMMIT');
  expect(await change).toMatchObject({ from: 'forward', to: 'reverse' });

  const fenced = (async () => {
    await beginMerge(late, 'forward', {});
    const active = await passFence(late, 'forward', []);
    await late.query('ROLLBACK');
    return active;
  })();
  await cutover.query('COMMIT');
  expect(await fenced).toBe(false);
});

test('two at once: one changes the phase, the other is told that it has changed', async () => {
  await using database = await testDatabase({ template: warehouseTemplate });
  const attempt = async () => {
    const client = await database.client();
    await client.query('BEGIN');
    try {
      await changePhase(client, 'cutover');
      await client.query('COMMIT');
      return 'changed';
    } catch (error) {
      await client.query('ROLLBACK');
      return (error as { code: string }).code;
    }
  };
  expect((await Promise.all([attempt(), attempt()])).sort()).toEqual(['LS_PHASE_REFUSED', 'changed']);
});

test('what is rolled back leaves neither phase nor history nor announcement', async () => {
  await using database = await testDatabase({ template: warehouseTemplate });
  const slot = `test_${database.name}`;
  await database.pool.query('SELECT pg_create_logical_replication_slot($1, $2)', [slot, 'test_decoding']);
  const client = await database.client();
  const run = async (end: 'COMMIT' | 'ROLLBACK') => {
    await client.query('BEGIN');
    await changePhase(client, 'cutover');
    await client.query(end);
    const { rows } = await database.pool.query<{ phase: Phase; changes: number; announcements: number }>(
      `SELECT phase, (SELECT count(*) FROM lockstep.phase_change)::int AS changes,
              (SELECT count(*) FROM pg_logical_slot_peek_changes($1, NULL, NULL) WHERE data LIKE '%lockstep.phase,%')::int AS announcements
       FROM lockstep.phase`,
      [slot],
    );
    return rows[0];
  };
  expect(await run('ROLLBACK')).toEqual({ phase: 'forward', changes: 0, announcements: 0 });
  expect(await run('COMMIT')).toEqual({ phase: 'reverse', changes: 1, announcements: 1 });
});
