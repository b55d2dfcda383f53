import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openScratch, type Scratch } from '../../scratch.ts';

let scratch: Scratch;
before(async () => {
  scratch = await openScratch(import.meta.dirname);
});
after(() => scratch[Symbol.asyncDispose]());

const rows = async (sql: string) => (await scratch.pool.query({ text: sql, rowMode: 'array' })).rows;

test('a list in a column becomes rows, in order and without empty ones', async () => {
  await scratch.pool.query(`INSERT INTO legacy.tickets (id, title, state, tags) VALUES (1, 'a', 1, 'x,, y ')`);
  assert.deepEqual(await rows('SELECT id, title, status FROM lockstep_forward.tickets WHERE id = 1'), [
    ['1', 'a', 'in progress'],
  ]);
  assert.deepEqual(
    await rows('SELECT position, tag FROM lockstep_forward.ticket_tags WHERE ticket_id = 1 ORDER BY 1'),
    [
      [1, 'x'],
      [2, 'y'],
    ],
  );
});

test('the way back makes the list again', async () => {
  await scratch.pool.query(
    `INSERT INTO tracker.tickets VALUES (2, 'b', 'closed', now());
     INSERT INTO tracker.ticket_tags VALUES (2, 2, 'y'), (2, 1, 'x')`,
  );
  assert.deepEqual(await rows('SELECT title, state, tags FROM lockstep_reverse.tickets WHERE id = 2'), [
    ['b', 2, 'x, y'],
  ]);
});

test('lockstep check finds nothing', async () => {
  assert.deepEqual((await scratch.check()).findings, []);
});
