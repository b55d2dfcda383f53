import { PurgeQueueCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { addPhoto, addUsers, id, rows, value } from '../sql/world.ts';
import { testDatabase } from '../support/database.ts';
import { testQueue } from '../support/queue.ts';
import { type Finished, lockstep, start } from './lockstep.ts';

const lastPause = 'SELECT round(pause_ms)::text FROM lockstep.phase_change ORDER BY number DESC LIMIT 1';

test('arm, cutover, rollback, complete, restore by the command line: what they print, what they ask, how they exit', {
  timeout: 600_000,
}, async () => {
  await using database = await testDatabase();
  await using queue = await testQueue();
  const env = {
    LOCKSTEP_DATABASE_URL: database.url,
    LOCKSTEP_QUEUE_URL: queue.queueUrl,
    LOCKSTEP_DEAD_LETTER_QUEUE_URL: queue.deadLetterQueueUrl,
    AWS_ENDPOINT_URL_SQS: queue.endpoint,
    AWS_REGION: queue.region,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  const { pool } = database;
  const command = (line: string) => lockstep(line.split(' '), env);
  /** Exits so, and says so: an answer on stdout, be it a no, an error on stderr. */
  const says = async (line: string, code: number, text: RegExp): Promise<Finished> => {
    const result = await command(line);
    expect([line, result.code, result.stdout || result.stderr]).toEqual([line, code, expect.stringMatching(text)]);
    return result;
  };
  const json = async (line: string, code: number) => {
    const result = await command(`${line} --json`);
    expect([line, result.code], result.stderr).toEqual([line, code]);
    return JSON.parse(result.stdout.trimEnd().split('\n').at(-1) ?? '');
  };

  await says('migrate --legacy', 0, /./);
  await addUsers(pool, 1, 2);
  await addPhoto(pool, 1, 1);
  await addPhoto(pool, 2, 2);
  await pool.query('UPDATE users SET total_storage_bytes = 1000');
  await using listener = start(['listen'], env);
  await using applier = start(['apply', '--concurrency', '2'], env);
  await listener.event('capturing');
  await applier.event('applying');
  await says('wait', 0, /./);

  await says(
    'cutover --yes',
    1,
    /^A cutover is refused; nothing was locked\.\n {2}not-armed: .*Do this: .*not-validated: /s,
  );
  await says('arm', 2, /LS_UNCONFIRMED/);
  await says(
    'arm --yes',
    0,
    /^Armed: the way back is captured\.\nEvery legacy row is what the way back would make of it\.\nNothing .* lost/,
  );
  await says('validate', 0, /./);
  await says('cutover', 2, /LS_UNCONFIRMED/);
  await queue.sqs.send(
    new SendMessageCommand({
      QueueUrl: queue.deadLetterQueueUrl,
      MessageBody: '?',
      MessageGroupId: '1',
      MessageDeduplicationId: '1',
    }),
  );
  await says('cutover --dry-run', 1, /^A cutover is refused; nothing was locked\.\n {2}dead-letters: 1 messages/);
  await queue.sqs.send(new PurgeQueueCommand({ QueueUrl: queue.deadLetterQueueUrl }));
  await says('cutover --dry-run', 0, /^Nothing is against a cutover now\.\n$/);

  // Someone has damaged a row: it is begun, and rolled back.
  await pool.query(`UPDATE media_files SET width = 5 WHERE id = '${id('photo', 1)}'`);
  await says(
    'cutover --yes',
    1,
    /^The cutover was begun and rolled back: nothing has changed\. Writers waited \d+ ms\.\n {2}drift: .*media_files .*different in width\.\n {4}Do this: /,
  );
  expect(await value(pool, 'SELECT phase FROM lockstep.phase')).toBe('forward');
  await says('validate --repair', 0, /./);

  const turned = await says(
    'cutover --yes --max-pause 3s',
    0,
    /^The normalized tables are the truth now \(phase reverse\)\. Writers waited \d+ ms, in which \d+ scopes were compared\.\n$/,
  );
  const pause = /waited (\d+) ms/.exec(turned.stdout)?.[1];
  expect(await value(pool, lastPause)).toBe(pause);
  expect(Number(pause)).toBeLessThan(3_000);
  await says(
    'cutover --yes',
    0,
    new RegExp(`^Nothing to do: the normalized tables .* since .*Z \\(writers waited ${pause} ms\\)`),
  );

  await expect(pool.query('UPDATE photos SET width = 1')).rejects.toMatchObject({ code: 'LS001' });
  await pool.query(`UPDATE media_files SET width = 77, tags = '{holiday}' WHERE id = '${id('photo', 1)}'`);
  await says('rollback sync', 0, /^Everything committed up to [0-9A-F]+\/[0-9A-F]+ is in the legacy tables\.\n$/);
  expect(await rows(pool, `SELECT width FROM photos WHERE id = '${id('photo', 1)}'`)).toEqual([{ width: 77 }]);
  await says('rollback plan', 1, /The legacy tables have no place for:\n {2}media_files: 1 rows, column tags: /);
  await pool.query("UPDATE media_files SET tags = '{}'");
  await says('rollback sync --all', 2, /LS_UNCONFIRMED/);
  expect(await json('rollback sync --all --yes', 0)).toMatchObject({ outcome: 'synced', run: expect.any(String) });
  expect(await json('rollback plan', 0)).toMatchObject({ event: 'rollback-plan', departures: [], losses: [] });
  expect(await json('rollback switch --yes', 1)).toMatchObject({
    event: 'rollback',
    outcome: 'refused',
    refusals: [{ name: 'not-validated' }],
  });
  await says('validate', 0, /./);
  const back = await json('rollback switch --yes', 0);
  expect(back).toMatchObject({
    event: 'rollback',
    outcome: 'switched',
    phase: 'forward',
    attempts: expect.any(Number),
  });
  expect(await value(pool, lastPause)).toBe(String(Math.round(back.pauseMs)));
  expect(await json('status', 0)).toMatchObject({ phase: 'forward', armed: true, findings: [] });
  await says('complete --yes', 1, /legacy tables are the truth .*LS_PHASE_REFUSED/s);

  await pool.query(`UPDATE photos SET width = 78 WHERE id = '${id('photo', 1)}'`);
  await says('wait', 0, /./);
  await says('validate', 0, /./);
  expect(await json('cutover --yes', 0)).toMatchObject({ event: 'cutover', outcome: 'switched', phase: 'reverse' });
  await says('complete', 2, /LS_UNCONFIRMED/);
  await says('complete --yes', 0, /^Applied:\n {2}008_.*\n {2}009_.*\n {2}010_.*\nThe migration is complete\./);
  expect(await listener.ended()).toBe(0);
  expect(await value(pool, "SELECT to_regclass('photos')")).toBe(null);
  await says('cutover --yes', 1, /wrong-phase: The migration is complete/);
  await pool.query(`UPDATE media_files SET width = 79 WHERE id = '${id('photo', 1)}'`);
  await says('restore', 2, /LS_UNCONFIRMED/);
  await says('restore --yes', 0, /^The legacy tables are back, from the backup of .*\n {2}photos: 1\n/s);
  expect(await rows(pool, `SELECT width FROM photos WHERE id = '${id('photo', 1)}'`)).toEqual([{ width: 79 }]);
  await says('restore --yes', 1, /normalized tables are the truth .*LS_PHASE_REFUSED/s);
  applier.process.kill('SIGTERM');
  expect(await applier.ended()).toBe(0);
});
