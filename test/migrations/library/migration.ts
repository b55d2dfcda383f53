import type { Migration } from '../../../engine/migration/contract.ts';

const table = (name: string) => ({ schema: 'library', name });
const forward = (name: string) => ({ schema: 'lockstep_forward', name });
const reverse = (name: string) => ({ schema: 'lockstep_reverse', name });

const people = { name: 'people', relation: table('people'), key: ['id'], routing: [] };

/** A row that moves from one scope to another in both directions, and a table that both sides share. */
export const migration: Migration = {
  name: 'library',
  forward: {
    sources: [people, { name: 'loans', relation: table('loans'), key: ['id'], routing: ['person_id'] }],
    targets: [
      {
        name: 'memberships',
        relation: table('memberships'),
        view: forward('memberships'),
        scope: ['person_id'],
        writes: 'rows',
        scopesOf: { people: 'SELECT id FROM changed' },
        walk: [{ relation: table('people'), columns: ['id'] }],
      },
      {
        name: 'borrowings',
        relation: table('borrowings'),
        view: forward('borrowings'),
        scope: ['person_id'],
        writes: 'rows',
        keyedBy: ['loans'],
        scopesOf: {
          loans: `SELECT person_id FROM changed
            UNION ALL SELECT l.person_id FROM changed c JOIN library.loans l ON l.id = c.id
            UNION ALL SELECT b.person_id FROM changed c JOIN library.borrowings b ON b.id = c.id`,
        },
        walk: [{ relation: table('people'), columns: ['id'] }],
      },
    ],
  },
  reverse: {
    sources: [
      people,
      { name: 'memberships', relation: table('memberships'), key: ['person_id'], routing: [] },
      { name: 'borrowings', relation: table('borrowings'), key: ['id'], routing: ['person_id'] },
    ],
    targets: [
      {
        name: 'people',
        relation: table('people'),
        view: reverse('people'),
        scope: ['id'],
        writes: 'columns',
        scopesOf: { people: 'SELECT id FROM changed', memberships: 'SELECT person_id FROM changed' },
        walk: [{ relation: table('memberships'), columns: ['person_id'] }],
      },
      {
        name: 'loans',
        relation: table('loans'),
        view: reverse('loans'),
        scope: ['person_id'],
        writes: 'rows',
        keyedBy: ['borrowings'],
        scopesOf: {
          borrowings: `SELECT person_id FROM changed
            UNION ALL SELECT b.person_id FROM changed c JOIN library.borrowings b ON b.id = c.id
            UNION ALL SELECT l.person_id FROM changed c JOIN library.loans l ON l.id = c.id`,
        },
        walk: [{ relation: table('people'), columns: ['id'] }],
      },
    ],
    losses: `SELECT 'borrowings' AS target, ARRAY[id::text] AS key, 'stars' AS column_name,
                    'the legacy table has no place for stars' AS reason
             FROM library.borrowings WHERE stars <> 0
             UNION ALL SELECT 'memberships', ARRAY[id::text], NULL, 'legacy knows no person without a plan'
             FROM library.people p WHERE NOT EXISTS (SELECT FROM library.memberships m WHERE m.person_id = p.id)`,
  },
  guards: {
    legacy: [{ relation: table('loans') }, { relation: table('people'), columns: ['plan'] }],
    normalized: [{ relation: table('memberships') }, { relation: table('borrowings') }],
  },
  flags: {
    forward: "UPDATE library.settings SET value = 'no' WHERE name = 'use_borrowings'",
    reverse: "UPDATE library.settings SET value = 'yes' WHERE name = 'use_borrowings'",
  },
};
