import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { GetQueueAttributesCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import type { Failpoint } from '../../engine/failpoint.ts';
import { addPhoto, addUsers, id, rows } from '../sql/world.ts';
import { eventually } from '../support/eventually.ts';
import { startApplying, startListening, stillWorld, type World } from './world.ts';

const timeout = 180_000;
const photos = 6_000;

/** Runs a part in a process of its own until it is killed where it was told to be. */
async function killedAt(world: World, part: 'listener' | 'applier', place: Failpoint, times = 1): Promise<void> {
  const program = fileURLToPath(new URL('doomed.ts', import.meta.url));
  const child = spawn(process.execPath, [program, part, place, String(times), world.queue.queueArn], {
    env: { ...process.env, ...world.settings },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const giveUp = setTimeout(() => child.kill('SIGTERM'), timeout / 2);
  const [, signal] = await once(child, 'exit');
  clearTimeout(giveUp);
  expect(signal).toBe('SIGKILL');
}

/** Messages of the queue: those that can be received, and those that somebody has received and not finished. */
async function queued({ queue }: World): Promise<{ visible: number; received: number }> {
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
  const { Attributes } = await queue.sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: queue.queueUrl, AttributeNames: [...names] }),
  );
  const [visible, received] = names.map((name) => Number(Attributes?.[name]));
  return { visible: visible ?? -1, received: received ?? -1 };
}

/** What a process that was killed has received is delivered again soon, and not after the deployment's six minutes. */
async function forgetSoon({ queue }: World): Promise<void> {
  await queue.sqs.send(
    new SetQueueAttributesCommand({ QueueUrl: queue.queueUrl, Attributes: { VisibilityTimeout: '2' } }),
  );
}

const emptied = (world: World) =>
  eventually(async () => Object.values(await queued(world)).every((count) => count === 0), { timeoutMs: 60_000 });

const inFlight = async ({ database }: World) =>
  (await rows<{ kind: string }>(database.pool, 'SELECT kind FROM lockstep.in_flight ORDER BY seq')).map(
    ({ kind }) => kind,
  );

const photoFile = ({ app }: World) => rows(app, 'SELECT mime_type FROM media_files WHERE id = $1', [id('photo', 1)]);

/** User, project and photo are in step; the listener and the appliers have ended. */
async function quietWorld(): Promise<World> {
  const world = await stillWorld();
  await using _applying = await startApplying(world);
  await using _listening = await startListening(world);
  await addUsers(world.app, 1);
  await addPhoto(world.app, 1, 1);
  await world.sync();
  await emptied(world);
  return world;
}

const change = ({ app }: World) =>
  app.query("UPDATE photos SET mime_type = 'image/gif' WHERE id = $1", [id('photo', 1)]);

/** By name: where the listener dies, and what it leaves in ledger and queue. */
const listenerDeaths: Record<string, { place: Failpoint; ledger: string[]; sent: number }> = {
  'before it enters anything': { place: 'listener.round-collected', ledger: [], sent: 0 },
  'between ledger and send': { place: 'listener.ledger-written', ledger: ['changes'], sent: 0 },
  'between send and confirm': { place: 'listener.messages-sent', ledger: ['changes'], sent: 1 },
};

test.each(Object.entries(listenerDeaths))(
  'the listener is killed %s',
  { timeout },
  async (_, { place, ledger, sent }) => {
    await using world = await quietWorld();
    await change(world);
    await killedAt(world, 'listener', place);
    expect([await inFlight(world), await queued(world)]).toEqual([ledger, { visible: sent, received: 0 }]);
    await using _listening = await startListening(world);
    // Read again and sent again, under another id: the entry of the first message is gone, and so it will be skipped.
    await eventually(async () => (await queued(world)).visible === sent + 1);
    expect(await inFlight(world)).toEqual(['changes']);
    await using _applying = await startApplying(world);
    await world.sync();
    expect(await photoFile(world)).toEqual([{ mime_type: 'image/gif' }]);
    await emptied(world);
  },
);

/** By name: where the handler dies, and what is in the ledger and in the new tables then. */
const handlerDeaths: Record<string, { place: Failpoint; ledger: string[]; mime: string }> = {
  'with its locks in hand': { place: 'apply.scopes-locked', ledger: ['changes'], mime: 'image/jpeg' },
  'before commit': { place: 'apply.before-commit', ledger: ['changes'], mime: 'image/jpeg' },
  'after commit, before acknowledgement': { place: 'apply.committed', ledger: [], mime: 'image/gif' },
};

test.each(Object.entries(handlerDeaths))(
  'the handler is killed %s',
  { timeout },
  async (_, { place, ledger, mime }) => {
    await using world = await quietWorld();
    await forgetSoon(world);
    await using _listening = await startListening(world);
    await change(world);
    await killedAt(world, 'applier', place);
    expect([await inFlight(world), await photoFile(world)]).toEqual([ledger, [{ mime_type: mime }]]);
    await using _applying = await startApplying(world);
    await world.sync();
    expect(await photoFile(world)).toEqual([{ mime_type: 'image/gif' }]);
    await emptied(world);
  },
);

test.each(['backfill.before-commit', 'backfill.committed'] as const)(
  'a backfill whose handler is killed (%s) goes on where it was',
  { timeout },
  async (place) => {
    await using world = await stillWorld();
    await forgetSoon(world);
    await addUsers(world.app, 1);
    // Clean rows: a chunk that the target refuses is merged in parts, which is another way than this one.
    await world.app.query(
      `INSERT INTO photos (id, project_id, file_url, upload_order)
     SELECT md5(n::text)::uuid, '${id('project', 1)}', 'https://cdn.example/' || n, n FROM generate_series(1, ${photos}) n`,
    );
    await using _listening = await startListening(world);
    // The first chunk is that of the one user.
    await killedAt(world, 'applier', place, 3);
    const progress = async () =>
      (
        await rows<{ id: string; cursor: string | null }>(
          world.database.pool,
          "SELECT backfill_id AS id, cursor[1] AS cursor FROM lockstep.backfill_target WHERE target = 'media_files'",
        )
      )[0];
    const before = await progress();
    expect(before?.cursor).toMatch(/^[0-9a-f-]{36}$/);

    const steps: Awaited<ReturnType<typeof progress>>[] = [];
    await using _applying = await startApplying(world, async (point) => {
      if (point === 'backfill.committed') steps.push(await progress());
    });
    await world.sync();
    // The same run, and its first chunk begins where the last one ended.
    expect(steps[0]?.id).toBe(before?.id);
    expect(String(steps[0]?.cursor) > String(before?.cursor)).toBe(true);
    expect(await rows(world.app, 'SELECT sum(rows_written)::int AS written FROM lockstep.backfill_target')).toEqual([
      { written: 1 + 2 * photos },
    ]);
  },
);
