import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runListener } from '../../engine/capture/listener.ts';
import { superviseListener } from '../../engine/capture/supervise.ts';
import { LockstepError } from '../../engine/errors.ts';
import { silent } from '../../engine/telemetry.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { breakStream, captured, createPhotos, engineSchema, Inbox } from './support.ts';

test('a supervised listener outlives the loss of its stream and of its ledger connection', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const migration = await createPhotos(database.pool);
  const inbox = new Inbox(migration);
  const stopping = new AbortController();
  let lives = 0;
  const supervised = superviseListener({
    signal: stopping.signal,
    telemetry: silent,
    clock: { nowMs: () => Date.now(), pauseMs: async () => void (await turn()) },
    run: (onCapturing) =>
      runListener({
        replication: { connectionString: database.url },
        pool: database.pool,
        directionName: 'forward',
        direction: migration.forward,
        publisher: inbox,
        telemetry: silent,
        shards: 4,
        signal: stopping.signal,
        standby: true,
        limits: { standbyPollMs: 20 },
        onCapturing: () => {
          lives += 1;
          onCapturing();
        },
      }),
  });
  await eventually(() => lives === 1);
  await database.pool.query('INSERT INTO photos VALUES (1)');
  await breakStream(database);
  await eventually(() => lives === 2);
  await database.pool.query('INSERT INTO photos VALUES (2)');
  await captured(database);
  await database.pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );
  await eventually(() => lives === 3);
  await database.pool.query('INSERT INTO photos VALUES (3)');
  await captured(database);
  stopping.abort();
  await supervised;
  expect(inbox.keys()).toEqual(new Set(['1', '2', '3']));
});

test('a mistake is not an outage', async () => {
  const attempts: number[] = [];
  const supervised = superviseListener({
    signal: new AbortController().signal,
    telemetry: silent,
    clock: { nowMs: () => 0, pauseMs: async () => {} },
    run: async (onCapturing) => {
      onCapturing();
      attempts.push(attempts.length);
      throw attempts.length < 3
        ? new LockstepError('LS_CONNECTION_LOST', 'lost')
        : new LockstepError('LS_SLOT_FOREIGN', 'not ours');
    },
  });
  await expect(supervised).rejects.toMatchObject({ code: 'LS_SLOT_FOREIGN' });
  expect(attempts).toHaveLength(3);
});
