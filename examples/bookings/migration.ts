import type { Migration, Source } from '../../engine/migration/contract.ts';

const bank = (name: string) => ({ schema: 'bank', name });
const ledger = (name: string) => ({ schema: 'ledger', name });
const forward = (name: string) => ({ schema: 'lockstep_forward', name });
const reverse = (name: string) => ({ schema: 'lockstep_reverse', name });

const account = ['branch_no', 'account_no'] as const;
const booking = ['branch_no', 'booking_no'] as const;
const source = (name: string, relation: Source['relation'], key: readonly string[]): Source => {
  return { name, relation, key, routing: [] };
};

/** Keys of several columns: a scope is a list of columns, and so are the rows that `scopesOf` returns. */
export const migration: Migration = {
  name: 'bookings',
  forward: {
    sources: [source('accounts', bank('accounts'), account), source('bookings', bank('bookings'), booking)],
    targets: [
      {
        name: 'accounts',
        relation: ledger('accounts'),
        view: forward('accounts'),
        scope: account,
        writes: 'rows',
        scopesOf: { accounts: 'SELECT branch_no, account_no FROM changed' },
        walk: [{ relation: bank('accounts'), columns: account }],
      },
      {
        name: 'entries',
        relation: ledger('entries'),
        view: forward('entries'),
        scope: booking,
        writes: 'rows',
        scopesOf: { bookings: 'SELECT branch_no, booking_no FROM changed' },
        walk: [{ relation: bank('bookings'), columns: booking }],
      },
    ],
    checks: {
      listings: { 'Accounts that are booked on and do not exist': 'SELECT * FROM lockstep_forward.unknown_accounts' },
    },
  },
  reverse: {
    sources: [
      source('accounts', ledger('accounts'), account),
      source('entries', ledger('entries'), [...booking, 'side']),
    ],
    targets: [
      {
        name: 'accounts',
        relation: bank('accounts'),
        view: reverse('accounts'),
        scope: account,
        writes: 'rows',
        scopesOf: { accounts: 'SELECT branch_no, account_no FROM changed' },
        walk: [{ relation: ledger('accounts'), columns: account }],
      },
      {
        name: 'bookings',
        relation: bank('bookings'),
        view: reverse('bookings'),
        scope: booking,
        writes: 'rows',
        scopesOf: { entries: 'SELECT branch_no, booking_no FROM changed' },
        walk: [{ relation: ledger('entries'), columns: booking }],
      },
    ],
    losses: 'SELECT * FROM lockstep_reverse.losses',
  },
  guards: {
    legacy: [{ relation: bank('accounts') }, { relation: bank('bookings') }],
    normalized: [{ relation: ledger('accounts') }, { relation: ledger('entries') }],
  },
};
