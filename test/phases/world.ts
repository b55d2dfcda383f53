import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { expect } from 'vitest';
import { loadDirection } from '../../engine/migration/load.ts';
import { arm } from '../../engine/phases/arm.ts';
import { type SwitchOptions, type SwitchOutcome, switchDirection } from '../../engine/phases/switch.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import { readStream } from '../../engine/status/queries.ts';
import { silent } from '../../engine/telemetry.ts';
import { validate } from '../../engine/validate/validate.ts';
import { startApplying, startListening, stillWorld, type World } from '../e2e/world.ts';
import { migration } from '../migrations/library/migration.ts';
import { differences } from '../support/differences.ts';
import { eventually } from '../support/eventually.ts';
import { libraryTemplate } from '../support/library.ts';

/** For `--migration`. */
export const libraryFolder = fileURLToPath(new URL('../migrations/library', import.meta.url));

export interface Library extends World {
  /** Arms, and waits until the way back is captured. */
  arm(): Promise<void>;
  /** Waits until a listener captures both directions. */
  captured(): Promise<void>;
  /** Compares everything; fails when it does not agree. */
  validate(): Promise<void>;
  change(change: 'cutover' | 'rollback', options?: Partial<SwitchOptions>): Promise<SwitchOutcome>;
  phase(): Promise<string>;
  /** Waits until all is applied in the active direction, and asks whether its targets are what they should be. */
  equal(): Promise<void>;
}

/** The library with so many people, each with two loans; nobody captures or applies yet. */
export async function stillLibrary(people = 20, server?: string): Promise<Library> {
  const world = await stillWorld(libraryTemplate, migration, server);
  const { pool } = world.database;
  await pool.query(
    `INSERT INTO library.people SELECT n, 'person ' || n, CASE WHEN n % 3 = 0 THEN 'plus' ELSE 'basic' END
     FROM generate_series(1, ${people}) n;
     INSERT INTO library.loans SELECT n, 1 + n % ${people}, 'book ' || n, nullif(n % 4, 0)::text
     FROM generate_series(1, ${2 * people}) n`,
  );
  const active = async () => {
    const name = await activeDirection(pool);
    return loadDirection(pool, name, migration[name] as typeof migration.forward);
  };
  const captured = async () => {
    for (const direction of ['forward', 'reverse'] as const) {
      await eventually(async () => (await readStream(pool, direction)).slot?.active, { timeoutMs: 120_000 });
    }
  };
  return {
    ...world,
    captured,
    async arm() {
      await arm({ client: await world.database.client(), migration, telemetry: silent });
      await captured();
    },
    async validate() {
      const report = await validate({ pool, loaded: await active(), telemetry: silent });
      expect([report.verdict, report.reasons]).toEqual(['agrees', []]);
    },
    change: (change, options) =>
      switchDirection({
        pool,
        migration,
        change,
        // A machine with other work on it is slow, and that is not what the tests are about.
        maxPauseMs: 20_000,
        deadLetters: 0,
        telemetry: silent,
        ...options,
        limits: { lagMs: 30_000, ...options?.limits },
      }),
    phase: async () => (await pool.query<{ phase: string }>('SELECT phase FROM lockstep.phase')).rows[0]?.phase ?? '',
    async equal() {
      await world.settle();
      expect(await differences(pool, await active())).toEqual({});
    },
  };
}

/** The library with everything running, in step. */
export async function startLibrary(people?: number): Promise<Library> {
  await using started = new AsyncDisposableStack();
  const library = started.use(await stillLibrary(people));
  started.use(await startApplying(library));
  started.use(await startListening(library));
  await library.settle();
  const parts = started.move();
  return { ...library, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** All that a cutover could leave behind: objects and their states, flags, phase and history. */
export async function catalogs(pool: pg.Pool): Promise<unknown> {
  const queries = {
    relations:
      'SELECT oid, relname, relkind, relowner, relacl::text, relhastriggers FROM pg_class WHERE relnamespace <> 99 ORDER BY oid',
    columns:
      'SELECT attrelid, attname, atttypid, attnotnull, attacl::text FROM pg_attribute WHERE attrelid > 16000 ORDER BY 1, 2',
    triggers: 'SELECT oid, tgrelid, tgname, tgenabled FROM pg_trigger ORDER BY oid',
    functions: 'SELECT oid, proname, proacl::text, prosrc FROM pg_proc WHERE oid > 16000 ORDER BY oid',
    constraints: 'SELECT oid, conname, conrelid FROM pg_constraint WHERE oid > 16000 ORDER BY oid',
    publications: 'SELECT * FROM pg_publication_tables ORDER BY pubname, schemaname, tablename',
    settings: 'SELECT * FROM library.settings',
    phase: 'SELECT phase, changed_at::text FROM lockstep.phase',
    changes: 'SELECT * FROM lockstep.phase_change',
  };
  const found: Record<string, unknown> = {};
  for (const [name, query] of Object.entries(queries)) found[name] = (await pool.query(query)).rows;
  return found;
}
