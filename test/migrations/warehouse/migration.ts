import type { Migration } from '../../../engine/migration/contract.ts';

const old = (name: string) => ({ schema: 'Old Shop', name });
const normalized = (name: string) => ({ schema: 'new_shop', name });
const view = (name: string) => ({ schema: 'lockstep_forward', name });
const line = '"Old Shop"."order line"';
const sameLine = 'l.order_no = c.order_no AND l."line №" = c."line №"';

/** Composite keys and scopes, many rows to one, three sources to one target. */
export const migration: Migration = {
  name: 'warehouse',
  forward: {
    sources: [
      { name: 'line', relation: old('order line'), key: ['order_no', 'line №'], routing: ['customer e-mail', 'sku'] },
      { name: 'price', relation: old('Preis'), key: ['sku', 'valid_from'], routing: [] },
      { name: 'stock', relation: old('stock'), key: ['sku'], routing: [] },
    ],
    targets: [
      {
        name: 'customers',
        relation: normalized('customers'),
        view: view('customers'),
        scope: ['email'],
        writes: 'rows',
        scopesOf: {
          line: `SELECT "customer e-mail" FROM changed UNION SELECT l."customer e-mail" FROM changed c JOIN ${line} l ON ${sameLine}`,
        },
        walk: [{ relation: old('order line'), columns: ['customer e-mail'] }],
      },
      {
        name: 'orders',
        relation: normalized('orders'),
        view: view('orders'),
        scope: ['order_no'],
        writes: 'rows',
        scopesOf: { line: 'SELECT order_no FROM changed' },
        walk: [{ relation: old('order line'), columns: ['order_no'] }],
      },
      {
        name: 'order_lines',
        relation: normalized('order_lines'),
        view: view('order_lines'),
        scope: ['order_no'],
        writes: 'rows',
        keyedBy: ['line'],
        scopesOf: { line: 'SELECT order_no FROM changed' },
        walk: [{ relation: old('order line'), columns: ['order_no'] }],
      },
      {
        name: 'products',
        relation: normalized('products'),
        view: view('products'),
        scope: ['sku'],
        writes: 'rows',
        scopesOf: {
          line: `SELECT sku FROM changed UNION SELECT l.sku FROM changed c JOIN ${line} l ON ${sameLine}`,
          price: 'SELECT sku FROM changed',
          stock: 'SELECT sku FROM changed',
        },
        walk: [{ relation: old('stock'), columns: ['sku'] }],
      },
      {
        name: 'sku_customers',
        relation: normalized('sku_customers'),
        view: view('sku_customers'),
        scope: ['sku', 'email'],
        writes: 'rows',
        scopesOf: {
          line: `SELECT sku, "customer e-mail" FROM changed UNION SELECT l.sku, l."customer e-mail" FROM changed c JOIN ${line} l ON ${sameLine}`,
        },
        walk: [{ relation: old('order line'), columns: ['sku', 'customer e-mail'] }],
      },
    ],
  },
};
