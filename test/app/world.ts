import type pg from 'pg';
import type { AppEvent } from '../../app/events.ts';
import { type FlagKey, flagKeys } from '../../app/flags/rule.ts';
import { shadowSettingKey } from '../../app/flags/state.ts';
import { openSchemas, type Schemas, type SchemasOptions } from '../../app/index.ts';
import { migration } from '../../sql/migration.ts';
import { addUsers } from '../sql/world.ts';
import { testDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { photomemory } from '../support/photomemory.ts';

/** Each scope by itself, so that what one of them holds is refused alone, as a merge does it. */
const deriveSql = migration.forward.targets
  .map(({ name, scope: [scope] }) => {
    const columns = `SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
      WHERE attrelid = 'lockstep_forward.${name}'::regclass AND attnum > 0`;
    return `
    columns := (${columns});
    FOR one IN SELECT DISTINCT ${scope} AS scope FROM lockstep_forward.${name} LOOP
      BEGIN
        EXECUTE format('INSERT INTO ${name} (%s) SELECT %s FROM lockstep_forward.${name} WHERE ${scope} = $1', columns, columns)
          USING one.scope;
      EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
        INSERT INTO lockstep.quarantine (direction, target, scope, sqlstate, message)
        VALUES ('forward', '${name}', ARRAY[one.scope::text], SQLSTATE, SQLERRM);
      END;
    END LOOP;`;
  })
  .join('\n');

/** Makes empty normalized tables what the views say, and quarantines what they refuse. */
export async function deriveAll(pool: pg.Pool): Promise<void> {
  await pool.query(`DO $$ DECLARE columns text; one record; BEGIN ${deriveSql} END $$`);
}

export interface AppWorld extends AsyncDisposable {
  readonly pool: pg.Pool;
  readonly schemas: Schemas;
  readonly events: AppEvent[];
  setting(key: string, value: unknown): Promise<void>;
  /** The flags of all three modules. */
  flags(value: unknown): Promise<void>;
  /** Derives everything anew, and says that everything up to now is applied. */
  apply(): Promise<void>;
}

/** User 1 with project 1 (see test/sql/world.ts), and a migration whose first backfill is done. */
export async function appWorld(options: Partial<SchemasOptions> = {}): Promise<AppWorld> {
  await using started = new AsyncDisposableStack();
  const database = started.use(await testDatabase({ template: photomemory }));
  const { pool } = database;
  await addUsers(pool, 1);
  const slot = `app_${database.name}`;
  await pool.query('SELECT pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput']);
  await pool.query(
    `INSERT INTO lockstep.stream (direction, slot_name, publication_name, shards, listener_seen_at)
     VALUES ('forward', $1, 'p', 16, now() + interval '1 hour')`,
    [slot],
  );
  await pool.query(
    `INSERT INTO lockstep.backfill (id, direction, reason, finished_at) VALUES (gen_random_uuid(), 'forward', 'test', now())`,
  );
  const events: AppEvent[] = [];
  const schemas = started.use(await openSchemas({ pool, observe: (event) => void events.push(event), ...options }));
  const setting = async (key: string, value: unknown) => {
    await pool.query(
      'INSERT INTO system_settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      [key, JSON.stringify(value)],
    );
    await eventually(async () => {
      const state = await schemas.state();
      return key === shadowSettingKey ? state.shadowPercentage > 0 : state.flags.has(key as FlagKey);
    });
  };
  const apply = async () => {
    await pool.query(
      'BEGIN; DELETE FROM project_media; DELETE FROM generation_jobs; DELETE FROM media_files; DELETE FROM user_subscriptions; COMMIT',
    );
    await deriveAll(pool);
    await pool.query('SELECT pg_replication_slot_advance($1, pg_current_wal_insert_lsn())', [slot]);
  };
  const parts = started.move();
  return {
    pool,
    schemas,
    events,
    setting,
    apply,
    async flags(value) {
      for (const key of flagKeys) await setting(key, value);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
