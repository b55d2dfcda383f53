import type { Migration } from '../../../engine/migration/contract.ts';

const legacy = (name: string) => ({ schema: 'legacy', name });
const tracker = (name: string) => ({ schema: 'tracker', name });
const forward = (name: string) => ({ schema: 'lockstep_forward', name });
const reverse = (name: string) => ({ schema: 'lockstep_reverse', name });

export const migration: Migration = {
  name: 'tickets',
  forward: {
    // The tables whose changes are followed. An event carries the key and the routing columns, and nothing else.
    sources: [{ name: 'tickets', relation: legacy('tickets'), key: ['id'], routing: [] }],
    // In dependency order: ticket_tags refers to tickets.
    targets: [
      {
        name: 'tickets',
        relation: tracker('tickets'),
        view: forward('tickets'),
        // Rows that are derived together. Here each ticket by itself.
        scope: ['id'],
        writes: 'rows',
        // Which scopes a changed row touches. The key is the scope, so there is nothing to look up.
        scopesOf: { tickets: 'SELECT id FROM changed' },
        walk: [{ relation: legacy('tickets'), columns: ['id'] }],
      },
      {
        name: 'ticket_tags',
        relation: tracker('ticket_tags'),
        view: forward('ticket_tags'),
        // All tags of a ticket: they are numbered together.
        scope: ['ticket_id'],
        writes: 'rows',
        scopesOf: { tickets: 'SELECT id FROM changed' },
        walk: [{ relation: legacy('tickets'), columns: ['id'] }],
      },
    ],
    checks: {
      listings: { 'Tickets in a state that nobody knows': 'SELECT * FROM lockstep_forward.unknown_states' },
    },
  },
  reverse: {
    sources: [
      { name: 'tickets', relation: tracker('tickets'), key: ['id'], routing: [] },
      { name: 'ticket_tags', relation: tracker('ticket_tags'), key: ['ticket_id', 'position'], routing: [] },
    ],
    targets: [
      {
        name: 'tickets',
        relation: legacy('tickets'),
        view: reverse('tickets'),
        scope: ['id'],
        writes: 'rows',
        scopesOf: { tickets: 'SELECT id FROM changed', ticket_tags: 'SELECT ticket_id FROM changed' },
        walk: [{ relation: tracker('tickets'), columns: ['id'] }],
      },
    ],
    losses: 'SELECT * FROM lockstep_reverse.losses',
  },
  guards: {
    legacy: [{ relation: legacy('tickets') }],
    normalized: [{ relation: tracker('tickets') }, { relation: tracker('ticket_tags') }],
  },
};
