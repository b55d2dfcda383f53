import type pg from 'pg';
import { expect, test } from 'vitest';
import { loadDirection } from '../../engine/migration/load.ts';
import { arm } from '../../engine/phases/arm.ts';
import { switchDirection } from '../../engine/phases/switch.ts';
import { readStream } from '../../engine/status/queries.ts';
import { silent } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import { startApplying, startListening, stillWorld, type World } from '../e2e/world.ts';
import { migration } from '../migrations/hostile/migration.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { hostileTemplate } from '../support/hostile.ts';
import { extremes, texts } from './values.ts';

const odd = `"old ""quoted"" schema; --"."select ""from"" user's $1"`;
const table = `"NEW'schema"."table"`;
const oldExtremes = '"old ""quoted"" schema; --".extremes';
const newExtremes = `"NEW'schema"."EXTREMES"`;

/** Rows that one side has and the other has not, value by value, as texts: not by what their types call equal. */
async function asTexts(app: pg.Client): Promise<unknown[]> {
  const text = (name: string) => `SELECT id, r::text FROM ${name} r`;
  const rows = async (sql: string) => (await app.query<{ id: string; r: string }>(`${sql} ORDER BY id`)).rows;
  const [legacy, normalized] = [await rows(text(oldExtremes)), await rows(text(newExtremes))];
  const other = new Map(normalized.map(({ id, r }) => [id, r]));
  expect(normalized).toHaveLength(legacy.length);
  return legacy.filter(({ id, r }) => other.get(id) !== r).map(({ id }) => id);
}

async function validated({ database: { pool } }: World, name: 'forward' | 'reverse'): Promise<unknown> {
  const loaded = await loadDirection(pool, name, migration[name] as typeof migration.forward);
  const { verdict, reasons } = await validate({ pool, loaded, telemetry: silent });
  expect(await differences(pool, loaded)).toEqual({});
  return [verdict, reasons];
}

async function turn({ database: { pool } }: World, change: 'cutover' | 'rollback'): Promise<unknown> {
  return await switchDirection({ pool, migration, change, maxPauseMs: 30_000, deadLetters: 0, telemetry: silent });
}

test('hostile names and texts, and every type at its limits, there and back: queue, merge, validation, cutover', {
  timeout: 300_000,
}, async () => {
  await using world = await stillWorld(hostileTemplate, migration);
  const { app, database } = world;
  const insertOdd = (name: string) =>
    `INSERT INTO ${name} VALUES ($1, $2, $3, jsonb_build_object($1::text, $3::text), $1, true, 9223372036854775807)`;
  // Half of them before the stream begins: the backfill's; the others are the listener's.
  const half = Math.floor(texts.length / 2);
  for (const [n, text] of texts.slice(0, half).entries()) await app.query(insertOdd(odd), [text, n, text]);
  await app.query(extremes(oldExtremes, 1));
  await using _applying = await startApplying(world);
  await using _listening = await startListening(world);
  for (const [n, text] of texts.slice(half).entries()) await app.query(insertOdd(odd), [text, half + n, text]);
  await app.query(extremes(oldExtremes, 1_000));
  await world.settle();
  expect(await asTexts(app)).toEqual([]);
  expect(await validated(world, 'forward')).toEqual(['agrees', []]);

  // Each row moves to the scope of another, and its key becomes another text.
  await app.query(
    `UPDATE ${odd} SET "order ""by""" = (SELECT max("order ""by""") FROM ${odd}), "primary" = "primary" || '''"'`,
  );
  await app.query(`DELETE FROM ${odd} WHERE "näme 💾 %s" % 5 = 0`);
  // To what is equal, and not the same.
  await app.query(`UPDATE ${oldExtremes} SET an_integer = -an_integer WHERE an_integer > -2147483648;
    UPDATE ${oldExtremes} SET a_numeric = a_numeric * 1.000, a_real = '-0', a_double = '-0', an_interval = '30 days',
      a_json = '{"a":2}', a_jsonb = '{"v": 1.100}', integers = '{0}', a_range = '[1,3]', a_char = 'x ' WHERE id % 1000 < 3;
    UPDATE ${oldExtremes} SET a_real = '0', a_double = '0', an_interval = '1 mon', a_json = '{"a": 2}', a_jsonb = '{"v": 1.1}' WHERE id % 1000 = 1`);
  await world.settle();
  expect(await asTexts(app)).toEqual([]);
  expect(await validated(world, 'forward')).toEqual(['agrees', []]);
  // Where nothing else of the row changes.
  await app.query(`UPDATE ${oldExtremes} SET a_jsonb = '{"v": 1.10}' WHERE id % 1000 = 0;
    UPDATE ${oldExtremes} SET numbers = '{1.10,NULL}' WHERE id % 1000 = 1`);
  await world.settle();
  await app.query(`UPDATE ${oldExtremes} SET a_jsonb = '{"v": 1.1}' WHERE id % 1000 = 0;
    UPDATE ${oldExtremes} SET numbers = '{1.1,NULL}' WHERE id % 1000 = 1`);
  await world.settle();
  expect(await asTexts(app)).toEqual([]);
  const counts = `SELECT (SELECT count(*)::int FROM ${odd}) AS old, (SELECT count(*)::int FROM ${table}) AS new`;
  const left = texts.filter((_, n) => n % 5 !== 0).length;
  expect((await app.query(counts)).rows).toEqual([{ old: left, new: left }]);
  expect((await app.query('SELECT FROM lockstep.quarantine')).rowCount).toBe(0);

  await arm({ client: await database.client(), migration, telemetry: silent });
  await eventually(async () => (await readStream(database.pool, 'reverse')).slot?.active, { timeoutMs: 120_000 });
  expect(await validated(world, 'forward')).toEqual(['agrees', []]);
  expect(await turn(world, 'cutover')).toMatchObject({ outcome: 'switched', phase: 'reverse' });
  await expect(app.query(`DELETE FROM ${odd}`)).rejects.toMatchObject({ code: 'LS001' });
  for (const [n, text] of texts.entries()) await app.query(insertOdd(table), [`${text}.`, 5_000 + n, text]);
  await app.query(`UPDATE ${table} SET "group" = "references" WHERE "NATURAL join" % 2 = 0`);
  await app.query(extremes(newExtremes, 2_000));
  await app.query(`DELETE FROM ${newExtremes} WHERE id < 1000`);
  await world.settle();
  expect(await asTexts(app)).toEqual([]);
  expect(await validated(world, 'reverse')).toEqual(['agrees', []]);
  expect(await turn(world, 'rollback')).toMatchObject({ outcome: 'switched', phase: 'forward' });
  await app.query(`UPDATE ${odd} SET "constraint" = NOT "constraint"`);
  await world.settle();
  expect(await validated(world, 'forward')).toEqual(['agrees', []]);
  expect(await asTexts(app)).toEqual([]);
});
