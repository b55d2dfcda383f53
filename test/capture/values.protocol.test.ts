import { expect, test } from 'vitest';
import { ensurePublication } from '../../engine/capture/publication.ts';
import type { Source } from '../../engine/migration/contract.ts';
import { testDatabase } from '../support/database.ts';
import { captured, engineSchema, Inbox, migrationOf, startListener } from './support.ts';

/** Type, value as SQL, and how the canonical session prints it. */
const values: [string, string, string][] = [
  ['timestamptz', "'2024-02-29 23:59:59.999999+05:30'", '2024-02-29 18:29:59.999999+00'],
  ['timestamp', "'infinity'", 'infinity'],
  ['date', "'0044-03-15 BC'", '0044-03-15 BC'],
  ['interval', "'1 year -2 days 03:04:05.000006'", '1 year -2 days +03:04:05.000006'],
  ['numeric', '123456789012345678901234567890.000100', '123456789012345678901234567890.000100'],
  ['float8', '0.1::float8 + 0.2::float8', '0.30000000000000004'],
  ['float4', '3.4028235e38', '3.4028235e+38'],
  ['int8', '9223372036854775807', '9223372036854775807'],
  ['bytea', "'\\x00ff27'", '\\x00ff27'],
  ['boolean', 'true', 't'],
  ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['text', `E'quote '' "double" \\\\ back\\nline ☃ 💾'`, 'quote \' "double" \\ back\nline ☃ 💾'],
  ['char(5)', "'ab'", 'ab   '],
  ['jsonb', `'{"b": 1, "a": [null]}'`, '{"a": [null], "b": 1}'],
  ['text[]', `ARRAY['a,b', NULL, '"']`, '{"a,b",NULL,"\\""}'],
  ['inet', "'10.1.2.3/8'", '10.1.2.3/8'],
  ['bit varying', "B'1010'", '1010'],
  ['int4range', "'[1,5)'", '[1,5)'],
  ['"Odd ""type"""', "'it''s'", "it's"],
];

const source: Source = {
  name: 'odd',
  relation: { schema: 'Odd "schema"', name: `Line's, "items"` },
  key: values.map((_, index) => `weiß"e ${index}`),
  routing: ['Group by'],
};

test('keys of every type, in names of every kind, come as PostgreSQL prints them in a canonical session', async () => {
  await using database = await testDatabase({ template: engineSchema });
  const table = `"Odd ""schema"""."Line's, ""items"""`;
  const columns = source.key.map((column) => `"${column.replaceAll('"', '""')}"`);
  for (const setting of [
    "datestyle = 'SQL, DMY'",
    "timezone = 'Asia/Kolkata'",
    "intervalstyle = 'iso_8601'",
    "bytea_output = 'escape'",
    'extra_float_digits = -5',
  ]) {
    await database.pool.query(`ALTER DATABASE ${database.name} SET ${setting}`);
  }
  await database.pool.query(`CREATE TYPE "Odd ""type""" AS ENUM ('it''s')`);
  await database.pool.query('CREATE SCHEMA "Odd ""schema"""');
  const definitions = values.map(([type], index) => `${columns[index]} ${type}`);
  await database.pool.query(
    `CREATE TABLE ${table} (${definitions.join(', ')}, "Group by" timestamptz, other text, PRIMARY KEY (${columns.join(', ')}))`,
  );

  const migration = migrationOf(source);
  expect(await ensurePublication(database.pool, 'forward', migration.forward)).toBe('created');
  expect(await ensurePublication(database.pool, 'forward', migration.forward)).toBe('unchanged');
  const inbox = new Inbox(migration);
  await using _listener = await startListener(database, migration, inbox);
  const literals = values.map(([type, value]) => `(${value})::${type}`);
  await database.pool.query(`INSERT INTO ${table} VALUES (${literals.join(', ')}, '2024-01-01 00:00:00.000001+00')`);
  await database.pool.query(`UPDATE ${table} SET other = 'x'`);
  await database.pool.query(`DELETE FROM ${table}`);
  await captured(database);

  const key = values.map(([, , printed]) => printed);
  const rows = inbox.rows('odd').map((row) => JSON.stringify(row));
  const expected = [
    [...key, '2024-01-01 00:00:00.000001+00'],
    [...key, null],
  ].map((row) => JSON.stringify(row));
  expect(new Set(rows)).toEqual(new Set(expected));
});

test('a TOASTed key that an update does not touch is named', async () => {
  await using database = await testDatabase({ template: engineSchema });
  await database.pool.query(
    'CREATE TABLE long (id text PRIMARY KEY, other text); ALTER TABLE long ALTER id SET STORAGE EXTERNAL',
  );
  const migration = migrationOf({
    name: 'long',
    relation: { schema: 'public', name: 'long' },
    key: ['id'],
    routing: [],
  });
  await ensurePublication(database.pool, 'forward', migration.forward);
  const inbox = new Inbox(migration);
  await using _listener = await startListener(database, migration, inbox);
  await database.pool.query("INSERT INTO long VALUES (repeat('k', 2500))");
  await captured(database);
  await database.pool.query("UPDATE long SET other = repeat('o', 3000)");
  await captured(database);
  expect(inbox.rows('long').length).toBeGreaterThanOrEqual(2);
  expect(inbox.keys('long')).toEqual(new Set(['k'.repeat(2500)]));
});
