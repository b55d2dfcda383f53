import type { Migration } from '../../../engine/migration/contract.ts';

const legacy = (name: string) => ({ schema: 'old "quoted" schema; --', name });
const normalized = (name: string) => ({ schema: "NEW'schema", name });
const forward = (name: string) => ({ schema: 'lockstep_forward', name });
const reverse = (name: string) => ({ schema: 'lockstep_reverse', name });

const odd = legacy(`select "from" user's $1`);
const table = normalized('table');
const oddSql = `"old ""quoted"" schema; --"."select ""from"" user's $1"`;
const tableSql = `"NEW'schema"."table"`;
const sameOdd = 'o."primary" = c.k AND o."näme 💾 %s" = c.n';
const sameTable = 't."references" = c.k AND t."NATURAL join" = c.n';
/** Where a row is, on both sides, beside what its change carried. */
const scopes = (key: string, number: string, routing: string) => `
  WITH c AS (SELECT ${key} AS k, ${number} AS n, ${routing} AS r FROM changed)
  SELECT r FROM c
  UNION ALL SELECT o."order ""by""" FROM c JOIN ${oddSql} o ON ${sameOdd}
  UNION ALL SELECT t."group" FROM c JOIN ${tableSql} t ON ${sameTable}`;

/** Hostile names and extreme values, one to one, both ways. */
export const migration: Migration = {
  name: `hostile "names"; it's`,
  forward: {
    sources: [
      { name: `odd "source's" \\ $1`, relation: odd, key: ['primary', 'näme 💾 %s'], routing: ['order "by"'] },
      { name: 'extremes', relation: legacy('extremes'), key: ['id'], routing: [] },
    ],
    targets: [
      {
        name: `the "table's" \\ $1 💾`,
        relation: table,
        view: forward(`view "of" table's`),
        scope: ['group'],
        writes: 'rows',
        scopesOf: { 'odd "source\'s" \\ $1': scopes('"primary"', '"näme 💾 %s"', '"order ""by"""') },
        walk: [{ relation: odd, columns: ['order "by"'] }],
      },
      {
        name: 'EXTREMES',
        relation: normalized('EXTREMES'),
        view: forward('EXTREMES'),
        scope: ['id'],
        writes: 'rows',
        scopesOf: { extremes: 'SELECT id FROM changed' },
        walk: [{ relation: legacy('extremes'), columns: ['id'] }],
      },
    ],
  },
  reverse: {
    sources: [
      { name: 'table', relation: table, key: ['references', 'NATURAL join'], routing: ['group'] },
      { name: 'EXTREMES', relation: normalized('EXTREMES'), key: ['id'], routing: [] },
    ],
    targets: [
      {
        name: 'odd',
        relation: odd,
        view: reverse(`view "of" select's`),
        scope: ['order "by"'],
        writes: 'rows',
        scopesOf: { table: scopes('"references"', '"NATURAL join"', '"group"') },
        walk: [{ relation: table, columns: ['group'] }],
      },
      {
        name: 'extremes',
        relation: legacy('extremes'),
        view: reverse('extremes'),
        scope: ['id'],
        writes: 'rows',
        scopesOf: { EXTREMES: 'SELECT id FROM changed' },
        walk: [{ relation: normalized('EXTREMES'), columns: ['id'] }],
      },
    ],
  },
  guards: {
    legacy: [{ relation: odd }, { relation: legacy('extremes'), columns: ['a_text', 'an_interval'] }],
    normalized: [{ relation: table }, { relation: normalized('EXTREMES') }],
  },
};
