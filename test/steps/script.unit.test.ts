import { expect, test } from 'vitest';
import { parseScript } from '../../engine/steps/script.ts';

const parse = (text: string) => parseScript('001_x.sql', text);

test('statements are split by the parser: semicolons in strings, bodies and comments separate nothing', async () => {
  const { statements } = await parse(`-- é; a comment
SELECT ';';
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN; RETURN 1; END $$;

-- another
SELECT 'ü'
  ;`);
  expect(statements.map(({ line, text }) => [line, text.slice(0, 10)])).toEqual([
    [2, "SELECT ';'"],
    [3, 'CREATE FUN'],
    [6, "SELECT 'ü'"],
  ]);
});

test('headers stand at the top and say phase and transaction', async () => {
  const script = await parse('-- What it does.\n-- lockstep: no transaction\n-- lockstep: phase complete\nVACUUM t;');
  expect(script).toMatchObject({ transaction: false, phase: 'complete' });
  expect(await parse('SELECT 1')).toMatchObject({ transaction: true, phase: 'forward' });
  expect(await parse('-- nothing but a comment')).toMatchObject({ statements: [] });
});

test.each([
  ['-- lockstep: no transactions\nSELECT 1', /001_x.sql line 1: unknown header "no transactions"/],
  ['SELECT 1;\n-- lockstep: no transaction\n', /line 2: the header "no transaction" must stand above/],
  ['SELECT 1;\n\nSELEC 2', /line 3: syntax error at or near "SELEC"/],
  ['SELECT 1;\nCOMMIT', /line 2: transactions are the runner/],
  ['CREATE INDEX CONCURRENTLY i ON t (a)', /line 1: CREATE INDEX CONCURRENTLY cannot run inside a transaction/],
  ['DROP INDEX CONCURRENTLY i', /line 1: DROP INDEX CONCURRENTLY cannot run inside a transaction/],
  ['-- lockstep: no transaction\nCREATE INDEX CONCURRENTLY ON t (a)', /line 2: .* needs a name/],
])('%j is refused with its line', async (text, message) => {
  await expect(parse(text)).rejects.toMatchObject({ code: 'LS_STEP_INVALID', message: expect.stringMatching(message) });
});

test('a concurrent index is known by its name and table, as PostgreSQL reads them', async () => {
  const { statements } = await parse(
    '-- lockstep: no transaction\nCREATE INDEX CONCURRENTLY "I x" ON "S".t (a); ANALYZE;',
  );
  expect(statements[0]).toMatchObject({ concurrent: true, index: { name: 'I x', table: { schema: 'S', name: 't' } } });
});
