import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dev as template } from '../../cli/new/template/dev.ts';
import { migration as tracker } from '../../cli/new/template/migration.ts';
import { checkMigration } from '../../engine/check/check.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import type { DevHooks } from '../../engine/migration/dev.ts';
import { readSteps } from '../../engine/steps/folder.ts';
import { dev as bookingsHooks } from '../../examples/bookings/dev.ts';
import { migration as bookings } from '../../examples/bookings/migration.ts';
import { dev as ordersHooks } from '../../examples/orders/dev.ts';
import { migration as orders } from '../../examples/orders/migration.ts';
import { dev as photomemoryHooks } from '../../sql/dev.ts';
import { migration as photomemory } from '../../sql/migration.ts';
import { checkout } from '../cli/lockstep.ts';
import { migration as library } from '../migrations/library/migration.ts';
import { migration as warehouse } from '../migrations/warehouse/migration.ts';
import { testDatabase } from '../support/database.ts';

interface Good {
  readonly folder: string;
  readonly migration: Migration;
  /** Without them the rows are made up. */
  readonly hooks?: DevHooks;
  /** Fewer where each costs more. Default 100. */
  readonly transactions?: number;
}

const good: readonly Good[] = [
  { folder: 'sql', migration: photomemory, hooks: photomemoryHooks, transactions: 40 },
  { folder: 'examples/orders', migration: orders, hooks: ordersHooks },
  { folder: 'examples/bookings', migration: bookings, hooks: bookingsHooks },
  { folder: 'cli/new/template', migration: tracker, hooks: template },
  { folder: 'test/migrations/library', migration: library },
  { folder: 'test/migrations/warehouse', migration: warehouse },
];

test.each(good)(
  'nothing is wrong with $folder',
  async ({ folder, migration, hooks, transactions = 100 }) => {
    await using database = await testDatabase();
    for (const name of ['engine/schema', folder]) {
      for (const { phase, text } of await readSteps(name, join(checkout, name))) {
        // What is due at the end of a migration comes after the views.
        if (phase === 'forward') await database.pool.query(text);
      }
    }
    const seed = hooks?.seed;
    const report = await checkMigration({ pool: database.pool, migration, transactions, ...(seed && { seed }) });
    expect(report.findings).toEqual([]);
    // A rehearsal that changes nothing that a view says would find nothing, either.
    for (const telling of Object.values(report.rehearsed)) expect(telling).toBeGreaterThan(transactions / 5);
    expect(Object.keys(report.rehearsed)).toEqual(migration.reverse ? ['forward', 'reverse'] : ['forward']);
  },
  900_000,
);
