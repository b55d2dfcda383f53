import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { PhotoService } from '../../app/example/photo-service.ts';
import { flagKeys } from '../../app/flags/rule.ts';
import { shadowSettingKey } from '../../app/flags/state.ts';
import { openSchemas } from '../../app/index.ts';
import { id, rows } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';
import { appWorld } from './world.ts';

/** What an application has on its own tables before the migration. */
const own = `
  GRANT SELECT, INSERT, UPDATE, DELETE ON users, subscriptions, video_projects, photos, media_items, generated_videos TO %`;

test('the application needs the rights on its own tables, lockstep_application, and no more', async () => {
  await using world = await appWorld();
  const { pool: owner } = world;
  const role = `photo_app_${process.pid}`;
  await owner.query(await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8'));
  await owner.query(`CREATE ROLE ${role}; GRANT lockstep_application TO ${role}; ${own.replace('%', role)}`);
  const pool = new pg.Pool({ ...owner.options, max: 4, options: `-c role=${role}` });
  const events: unknown[] = [];
  try {
    await using schemas = await openSchemas({ pool, observe: (event) => void events.push(event) });
    const userId = id('user', 2);
    const service = new PhotoService(schemas, userId);
    const useAll = async () => {
      const projectId = await service.createProject('A trip', { name: 'a.jpg', bytes: 1 });
      const file = await service.upload(projectId, { name: 'b.jpg', bytes: 1 });
      if (typeof file === 'string') throw new Error(file);
      await service.rename(file.id, 'c.jpg');
      await service.arrange(projectId, [file.id]);
      await service.discard(await service.addToLibrary({ name: 'd.pdf', bytes: 1 }));
      expect(await service.library()).toHaveLength(2);
      await service.changePlan('pro', 1);
      const job = await service.startVideo(projectId, 'the sea');
      if (typeof job === 'string') throw new Error(job);
      await service.finishVideo(job.id, 'https://files.example/v.mp4', 1);
      expect(await service.videos(projectId)).toHaveLength(1);
      await service.discardVideo(job.id);
      for (const { mediaFileId } of await service.album(projectId)) await service.discard(mediaFileId);
    };
    await service.signUp('two@mail.example');
    await useAll();
    await world.apply();
    for (const key of flagKeys) await world.setting(key, true);
    await world.setting(shadowSettingKey, { percentage: 100 });
    await eventually(async () => (await schemas.state()).shadowPercentage === 100);
    await service.album(id('project', 1));
    await service.subscription();
    await schemas.shadowsDone();
    expect(await rows(owner, 'SELECT agreed::int FROM lockstep_app.shadow_reads')).toEqual([
      { agreed: 1 },
      { agreed: 1 },
    ]);
    await owner.query("UPDATE lockstep.phase SET phase = 'reverse', changed_at = clock_timestamp()");
    await eventually(async () => (await schemas.state()).phase === 'reverse');
    await useAll();
    expect(events.filter((event) => !/"(behind|missing)"/.test(JSON.stringify(event)))).toEqual([]);
  } finally {
    await pool.end();
    await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
