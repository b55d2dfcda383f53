import type { ClientBase } from 'pg';
import { migration } from '../../sql/migration.ts';
import { rows } from '../sql/world.ts';

const forward = migration.forward.targets.map(({ name }) => name);
const backward = ['subscriptions', 'photos', 'media_items', 'generated_videos'];

async function columnsOf(client: ClientBase, relation: string): Promise<string> {
  const found = await rows<{ name: string }>(
    client,
    `SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [relation],
  );
  return found.map(({ name }) => name).join(', ');
}

/** Statements that carry everything one way, from all views at one moment. They leave keys and triggers out. */
export interface Ways {
  readonly forward: string;
  readonly reverse: string;
  /** Rows in which the legacy tables are not what the reverse views say, by table. */
  readonly reverseDifferences: string;
}

export async function prepareWays(client: ClientBase): Promise<Ways> {
  const carry = async (schema: string, tables: readonly string[], wipe: boolean) => {
    const read: string[] = [];
    const write: string[] = [];
    for (const table of tables) {
      const columns = await columnsOf(client, `${schema}.${table}`);
      read.push(`CREATE TEMP TABLE carried_${table} ON COMMIT DROP AS SELECT * FROM ${schema}.${table}`);
      if (wipe) write.push(`DELETE FROM ${table}`);
      write.push(
        `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM carried_${table}`,
        `DROP TABLE carried_${table}`,
      );
    }
    return { read, write };
  };
  const there = await carry('lockstep_forward', forward, true);
  const back = await carry('lockstep_reverse', backward, true);
  const differences: string[] = [];
  for (const table of [...backward, 'users']) {
    const columns = await columnsOf(client, `lockstep_reverse.${table}`);
    const [view, present] = [`SELECT ${columns} FROM lockstep_reverse.${table}`, `SELECT ${columns} FROM ${table}`];
    differences.push(
      `SELECT '${table}' AS "table", to_jsonb(d) AS row FROM ((${view} EXCEPT ${present}) UNION ALL (${present} EXCEPT ${view})) d`,
    );
  }
  const without = (statements: readonly string[]) =>
    `SET LOCAL session_replication_role = replica; ${statements.join('; ')}; SET LOCAL session_replication_role = origin`;
  return {
    forward: without([...there.read, ...there.write]),
    reverse: without([
      ...back.read,
      'CREATE TEMP TABLE carried_users ON COMMIT DROP AS SELECT * FROM lockstep_reverse.users',
      ...back.write,
      `UPDATE users SET subscription_plan = c.subscription_plan, total_storage_bytes = c.total_storage_bytes FROM carried_users c
       WHERE c.id = users.id AND length(c.subscription_plan) <= 20`,
      'DROP TABLE carried_users',
    ]),
    reverseDifferences: differences.join(' UNION ALL '),
  };
}

type Values = Record<string, string>;
export type State = Record<string, Map<string, Values>>;

const stateSql = forward
  .map(
    (table) =>
      `SELECT '${table}' AS "table", id::text AS key, (SELECT jsonb_object_agg(v.key, v.value::text) FROM jsonb_each(to_jsonb(t)) v) AS values FROM ${table} t`,
  )
  .join(' UNION ALL ');

/** The normalized tables as they are, value by value. */
export async function stateOf(client: ClientBase): Promise<State> {
  const state: State = Object.fromEntries(forward.map((table) => [table, new Map()]));
  for (const { table, key, values } of await rows<{ table: string; key: string; values: Values }>(client, stateSql)) {
    state[table]?.set(key, values);
  }
  return state;
}

/** Each row of `old` with the one that it has come back as; what is left of `now` was not there before. */
function pair(table: string, old: ReadonlyMap<string, Values>, now: Map<string, Values>): Map<string, Values> {
  const pairs = new Map<string, Values>();
  const take = (key: string, from: string | undefined) => {
    const back = from === undefined || pairs.has(key) ? undefined : now.get(from);
    if (!back || from === undefined) return;
    pairs.set(key, back);
    now.delete(from);
  };
  for (const key of old.keys()) take(key, key);
  if (table === 'project_media')
    for (const [key, { media_file_id }] of old) take(key, media_file_id?.replaceAll('"', ''));
  return pairs;
}

/**
 * What of `before` is not the same in `after`, as `table key column`, with `*` for a row that only one of them has. A
 * placement that has come back under the id of its file is the same placement.
 */
export function changes(before: State, after: State): string[] {
  const found: string[] = [];
  for (const table of forward) {
    const old = before[table] ?? new Map<string, Values>();
    const now = new Map(after[table] ?? []);
    const pairs = pair(table, old, now);
    for (const [key, values] of old) {
      const back = pairs.get(key);
      const columns = back ? Object.keys(values).filter((column) => values[column] !== back[column]) : ['*'];
      found.push(...columns.map((column) => `${table} ${key} ${column}`));
    }
    found.push(...[...now.keys()].map((key) => `${table} ${key} *`));
  }
  return found.sort();
}

/** What the lossiness check says, in the same words. */
export async function losses(client: ClientBase): Promise<string[]> {
  const found = await rows<{ loss: string }>(
    client,
    `SELECT target || ' ' || key[1] || ' ' || coalesce(column_name, '*') AS loss FROM (${migration.reverse?.losses}) l`,
  );
  return found.map(({ loss }) => loss).sort();
}
