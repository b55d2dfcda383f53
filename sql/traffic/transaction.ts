import type { ClientBase } from 'pg';
import type { Random } from './random.ts';

/** What one thing that a user does may use. */
export interface Work {
  readonly random: Random;
  /** Runs a statement that changes rows, and counts them. */
  change(sql: string, values?: readonly unknown[]): Promise<void>;
  /** The rows of a query. */
  read(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Some row of a legacy table, or undefined when it is empty. */
  any(table: LegacyTable): Promise<Row | undefined>;
}

export type Row = Readonly<Record<string, unknown>>;

export type LegacyTable = 'users' | 'subscriptions' | 'video_projects' | 'photos' | 'media_items' | 'generated_videos';

/** Something that users do, as often as its weight says. Where there is nothing to do it to, it does nothing. */
export interface Action {
  readonly weight: number;
  run(work: Work): Promise<void>;
}

export type Outcome = { readonly committed: true; readonly changes: number } | { readonly committed: false };

/**
 * One transaction of one to three actions. Some are rolled back as a whole, some lose an action to a savepoint.
 * Throws what the server throws, after a ROLLBACK.
 */
export async function transact(client: ClientBase, random: Random, choose: () => Action): Promise<Outcome> {
  await client.query('BEGIN');
  try {
    let changes = await act(client, random, choose());
    while (random.chance(0.25)) {
      if (random.chance(0.2)) {
        await client.query('SAVEPOINT change_of_mind');
        await act(client, random, choose());
        await client.query('ROLLBACK TO SAVEPOINT change_of_mind');
      } else {
        changes += await act(client, random, choose());
      }
    }
    if (random.chance(0.04)) {
      await client.query('ROLLBACK');
      return { committed: false };
    }
    await client.query('COMMIT');
    return { committed: true, changes };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function act(client: ClientBase, random: Random, action: Action): Promise<number> {
  let changes = 0;
  const read = async (sql: string, values: readonly unknown[] = []) => (await client.query<Row>(sql, [...values])).rows;
  await action.run({
    random,
    read,
    async change(sql, values = []) {
      changes += (await client.query(sql, [...values])).rowCount ?? 0;
    },
    // Ids are spread evenly, so the first one after a random id is a random row, found by the primary key.
    async any(table) {
      const [found] = await read(`SELECT * FROM public.${table} WHERE id >= $1 ORDER BY id LIMIT 1`, [random.uuid()]);
      return found ?? (await read(`SELECT * FROM public.${table} ORDER BY id LIMIT 1`))[0];
    },
  });
  return changes;
}
