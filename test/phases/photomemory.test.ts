import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { parseRule } from '../../app/flags/rule.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { arm } from '../../engine/phases/arm.ts';
import { switchDirection } from '../../engine/phases/switch.ts';
import { readStream } from '../../engine/status/queries.ts';
import { silent } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import { migration } from '../../sql/migration.ts';
import { startWorld } from '../e2e/world.ts';
import { addPhoto, addUsers, id } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';

test('PhotoMemory goes to the normalized tables and back, changed by the operator, who owns none of them', async () => {
  await using world = await startWorld();
  const { app, database } = world;
  await database.pool.query(await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8'));
  await addUsers(app, 1);
  await addPhoto(app, 1, 1);
  await world.sync();
  await arm({ client: await database.client(), migration, telemetry: silent });
  await eventually(async () => (await readStream(database.pool, 'reverse')).slot?.active, { timeoutMs: 120_000 });

  const pool = new pg.Pool({ connectionString: database.url, max: 4, options: '-c role=lockstep_operator' });
  pool.on('error', () => {});
  try {
    const turn = async (change: 'cutover' | 'rollback', direction: 'forward' | 'reverse') => {
      const declared = migration[direction];
      if (!declared) throw new Error('no such direction');
      await world.settle();
      const loaded = await loadDirection(pool, direction, declared);
      const report = await validate({ pool, loaded, telemetry: silent });
      expect([report.verdict, report.reasons]).toEqual(['agrees', []]);
      return await switchDirection({ pool, migration, change, maxPauseMs: 20_000, deadLetters: 0, telemetry: silent });
    };
    const lists = { allow: [id('user', 1)], deny: [id('user', 2)] };
    await app.query(
      `INSERT INTO system_settings (key, value)
       VALUES ('use_unified_media', $1), ('use_normalized_subscriptions', '{"state": "percentage", "percentage": 50}')`,
      [{ state: 'percentage', percentage: 50, ...lists }],
    );
    expect(await turn('cutover', 'forward')).toMatchObject({ outcome: 'switched', phase: 'reverse' });
    const flags = async () =>
      Object.fromEntries(
        (await app.query("SELECT key, value FROM system_settings WHERE key LIKE 'use%'")).rows.map(
          ({ key, value }) => [key, parseRule(value)] as const,
        ),
      );
    const none = { percentage: 0, allow: [], deny: [] };
    expect(await flags()).toEqual({
      use_normalized_subscriptions: { state: 'on', ...none },
      // Who is allowed or denied by name stays so.
      use_unified_media: { ...none, state: 'on', ...lists },
      use_enhanced_generation_jobs: { state: 'on', ...none },
    });
    await expect(app.query('UPDATE photos SET width = 1')).rejects.toMatchObject({ code: 'LS001' });
    await app.query('UPDATE media_files SET width = 77 WHERE id = $1', [id('photo', 1)]);
    await world.settle();
    expect((await app.query('SELECT width FROM photos WHERE id = $1', [id('photo', 1)])).rows).toEqual([{ width: 77 }]);
    expect(await turn('rollback', 'reverse')).toMatchObject({ outcome: 'switched', phase: 'forward' });
    expect(await flags()).toEqual({
      use_normalized_subscriptions: { state: 'off', ...none },
      use_unified_media: { ...none, state: 'off', ...lists },
      use_enhanced_generation_jobs: { state: 'off', ...none },
    });
    await app.query('UPDATE photos SET width = 78 WHERE id = $1', [id('photo', 1)]);
    await world.sync();
  } finally {
    await pool.end();
  }
});
