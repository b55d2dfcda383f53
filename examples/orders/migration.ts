import type { Migration } from '../../engine/migration/contract.ts';

const shop = (name: string) => ({ schema: 'shop', name });
const sales = (name: string) => ({ schema: 'sales', name });
const forward = (name: string) => ({ schema: 'lockstep_forward', name });

/** Whose the order is, and was: the event carries both, because the replica identity holds the column. */
const customers = 'SELECT customer_email FROM changed';
const customerWalk = [{ relation: shop('orders'), columns: ['customer_email'] }];

/** Many to one: orders with customer and address columns become customers, addresses and orders. */
export const migration: Migration = {
  name: 'orders',
  forward: {
    sources: [{ name: 'orders', relation: shop('orders'), key: ['id'], routing: ['customer_email'] }],
    targets: [
      {
        name: 'customers',
        relation: sales('customers'),
        view: forward('customers'),
        scope: ['email'],
        writes: 'rows',
        scopesOf: { orders: customers },
        walk: customerWalk,
      },
      {
        name: 'addresses',
        relation: sales('addresses'),
        view: forward('addresses'),
        scope: ['customer_email'],
        writes: 'rows',
        scopesOf: { orders: customers },
        walk: customerWalk,
      },
      {
        name: 'orders',
        relation: sales('orders'),
        view: forward('orders'),
        scope: ['id'],
        writes: 'rows',
        scopesOf: { orders: 'SELECT id FROM changed' },
        walk: [{ relation: shop('orders'), columns: ['id'] }],
      },
    ],
    checks: {
      listings: { 'Customers whose orders disagree on the name': 'SELECT * FROM lockstep_forward.name_conflicts' },
    },
  },
  reverse: {
    sources: [
      { name: 'customers', relation: sales('customers'), key: ['email'], routing: [] },
      { name: 'addresses', relation: sales('addresses'), key: ['customer_email', 'id'], routing: [] },
      { name: 'orders', relation: sales('orders'), key: ['id'], routing: [] },
    ],
    targets: [
      {
        name: 'orders',
        relation: shop('orders'),
        view: { schema: 'lockstep_reverse', name: 'orders' },
        scope: ['id'],
        writes: 'rows',
        scopesOf: {
          customers: 'SELECT o.id FROM changed c JOIN sales.orders o ON o.customer_email = c.email',
          addresses:
            'SELECT o.id FROM changed c JOIN sales.orders o ON o.customer_email = c.customer_email AND o.address_id = c.id',
          orders: 'SELECT id FROM changed',
        },
        walk: [{ relation: sales('orders'), columns: ['id'] }],
      },
    ],
    losses: 'SELECT * FROM lockstep_reverse.losses',
  },
  guards: {
    legacy: [{ relation: shop('orders') }],
    normalized: [{ relation: sales('customers') }, { relation: sales('addresses') }, { relation: sales('orders') }],
  },
};
