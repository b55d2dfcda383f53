import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkMigration } from '../../engine/check/check.ts';
import type { Migration } from '../../engine/migration/contract.ts';
import type { DevHooks } from '../../engine/migration/dev.ts';
import { dev as bookingsHooks } from '../../examples/bookings/dev.ts';
import { migration as bookings } from '../../examples/bookings/migration.ts';
import { dev as ordersHooks } from '../../examples/orders/dev.ts';
import { migration as orders } from '../../examples/orders/migration.ts';
import { checkout, start } from '../cli/lockstep.ts';
import { testDatabase } from '../support/database.ts';
import { runSqlFiles } from '../support/photomemory.ts';

/** What `check` says of each: docs/your-own-migration.md tells of what is known of orders. */
const examples: [string, Migration, DevHooks, string[]][] = [
  ['orders', orders, ordersHooks, ['no-index-path', 'no-index-path']],
  ['bookings', bookings, bookingsHooks, []],
];

test.each(examples)(
  'nothing unknown is wrong with examples/%s',
  async (name, migration, { seed }, known) => {
    await using database = await testDatabase();
    for (const folder of ['engine/schema', `examples/${name}`]) {
      await runSqlFiles(database.pool, new URL(`../../${folder}/`, import.meta.url), /^\d{3}_.*\.sql$/);
    }
    const report = await checkMigration({ pool: database.pool, migration, ...(seed && { seed }) });
    expect(report.findings.map(({ rule }) => rule)).toEqual(known);
    // What is found without a rehearsal spares it.
    if (known.length > 0) return;
    expect(Math.min(report.rehearsed.forward ?? 0, report.rehearsed.reverse ?? 0)).toBeGreaterThan(20);
  },
  180_000,
);

test.each(examples)(
  'examples/%s: backfill, live changes through the queue, validation',
  async (name) => {
    const folder = join(checkout, 'examples', name);
    await using dev = start(['dev', '--migration', folder, '--users', '50', '--traffic', '40', '--duration', '3']);
    await dev.event('ready', 120_000);
    expect(await dev.ended(120_000)).toBe(0);
    const summary = await dev.event('summary');
    expect(summary).toMatchObject({ agrees: true, reasons: [], legacy: { errors: 0 } });
    expect(summary.legacy.transactions).toBeGreaterThan(40);
    // Dirty rows are there on purpose: they are put aside, and the rest goes on.
    expect(summary.quarantine.length).toBeGreaterThan(0);
    for (const target of summary.targets) expect(target.compared).toBeGreaterThan(30);
  },
  300_000,
);
