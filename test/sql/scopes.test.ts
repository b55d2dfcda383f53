import fc from 'fast-check';
import type { ClientBase } from 'pg';
import { expect, test } from 'vitest';
import { resolveSql } from '../../engine/apply/resolve.ts';
import type { LoadedDirection } from '../../engine/migration/load.ts';
import { migration } from '../../sql/migration.ts';
import { testDatabase } from '../support/database.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';
import { derive, id, rows, value } from './world.ts';

/**
 * The rule behind every `scopesOf`: whatever a transaction did to the legacy tables, each scope of which the view now
 * says something else than the target is found from the rows that changed. Here the target held what the view said
 * before.
 */
const { sources, targets } = migration.forward;

type Snapshot = Map<string, Map<string, { event: (string | null)[]; row: string }>>;

const snapshotSql = sources
  .map(({ name, key, routing }) => {
    const columns = [...key, ...routing].map((column) => `${column}::text`).join(', ');
    return `SELECT '${name}' AS source, ARRAY[${columns}] AS event, t::text AS row FROM ${name} t`;
  })
  .join(' UNION ALL ');

/** The sources' rows by key, as events name them: key, then routing. */
async function snapshot(client: ClientBase): Promise<Snapshot> {
  const tables: Snapshot = new Map(sources.map(({ name }) => [name, new Map()]));
  const found = await rows<{ source: string; event: (string | null)[]; row: string }>(client, snapshotSql);
  for (const { source, event, row } of found) tables.get(source)?.set(event[0] ?? '', { event, row });
  return tables;
}

/** SQL that lists every scope (as `target scope`) of which the view says something else than the table. */
async function staleSql(client: ClientBase): Promise<string> {
  const parts: string[] = [];
  for (const { name, scope } of targets) {
    const columns = await value<string>(
      client,
      `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0`,
      [`lockstep_forward.${name}`],
    );
    const content = (relation: string) =>
      `(SELECT ${scope[0]} AS scope, string_agg(ROW(${columns})::text, ';' ORDER BY id) AS rows FROM ${relation} GROUP BY 1)`;
    parts.push(
      `SELECT '${name} ' || scope AS stale FROM ${content(`lockstep_forward.${name}`)} v FULL JOIN ${content(name)} t USING (scope)
       WHERE v.rows IS DISTINCT FROM t.rows`,
    );
  }
  return parts.join(' UNION ALL ');
}

async function resolved(client: ClientBase, loaded: LoadedDirection, before: Snapshot): Promise<Set<string>> {
  const after = await snapshot(client);
  const found = new Set<string>();
  for (const source of loaded.sources) {
    const [old, now] = [before.get(source.name), after.get(source.name)];
    if (!old || !now) throw new Error(`no snapshot of ${source.name}`);
    const changed = [...now.values()]
      .filter((entry) => old.get(entry.event[0] ?? '')?.row !== entry.row)
      .map(({ event }) => event);
    // A delete carries the key only: that is all the default replica identity gives.
    const gone = [...old.values()]
      .filter(({ event }) => !now.has(event[0] ?? ''))
      .map(({ event }) => event.map((part, index) => (index < source.key.length ? part : null)));
    const text = resolveSql(loaded, source);
    if (!text || changed.length + gone.length === 0) continue;
    const events = [...changed, ...gone];
    const answer = await client.query<{ target: number; scope: string[] }>(
      text,
      source.types.map((_, column) => events.map((event) => event[column] ?? null)),
    );
    for (const { target, scope } of answer.rows) found.add(`${loaded.targets[target]?.name} ${scope[0]}`);
  }
  return found;
}

const n = fc.integer({ min: 1, max: 2 });
const maybe = fc.option(n);
const ref = (kind: Parameters<typeof id>[0], number: number | null) =>
  number === null ? 'NULL' : `'${id(kind, number)}'`;
const tables = {
  user: 'users',
  project: 'video_projects',
  photo: 'photos',
  item: 'media_items',
  video: 'generated_videos',
  subscription: 'subscriptions',
} as const;
const kind = fc.constantFrom(...(Object.keys(tables) as (keyof typeof tables)[]));

const statement = fc.oneof(
  n.map((a) => `INSERT INTO users (id) VALUES (${ref('user', a)}) ON CONFLICT DO NOTHING`),
  fc
    .tuple(n, maybe)
    .map(
      ([a, b]) =>
        `INSERT INTO video_projects (id, user_id) VALUES (${ref('project', a)}, ${ref('user', b)}) ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id`,
    ),
  fc
    .tuple(n, maybe, maybe)
    .map(
      ([a, b, c]) =>
        `INSERT INTO photos (id, project_id, file_url, upload_order) VALUES (${ref('photo', a)}, ${ref('project', b)}, 'u', ${c}) ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, upload_order = excluded.upload_order`,
    ),
  fc
    .tuple(n, maybe)
    .map(
      ([a, b]) =>
        `INSERT INTO media_items (id, user_id, file_url) VALUES (${ref('item', a)}, ${ref('user', b)}, 'u') ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id`,
    ),
  fc
    .tuple(n, maybe, fc.boolean())
    .map(
      ([a, b, file]) =>
        `INSERT INTO generated_videos (id, project_id, generation_service, file_url) VALUES (${ref('video', a)}, ${ref('project', b)}, 'luma', ${file ? "'u'" : 'NULL'}) ON CONFLICT (id) DO UPDATE SET project_id = excluded.project_id, file_url = excluded.file_url`,
    ),
  fc
    .tuple(n, maybe, fc.constantFrom('active', 'expired'))
    .map(
      ([a, b, status]) =>
        `INSERT INTO subscriptions (id, user_id, status) VALUES (${ref('subscription', a)}, ${ref('user', b)}, '${status}') ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, status = excluded.status`,
    ),
  fc.tuple(kind, n).map(([k, a]) => `DELETE FROM ${tables[k]} WHERE id = ${ref(k, a)}`),
  fc
    .tuple(kind, n, n)
    .map(
      ([k, a, b]) =>
        `UPDATE ${tables[k]} SET id = ${ref(k, b)} WHERE id = ${ref(k, a)} AND NOT EXISTS (SELECT FROM ${tables[k]} WHERE id = ${ref(k, b)})`,
    ),
  n.map((a) => `UPDATE users SET created_at = created_at + interval '1 day' WHERE id = ${ref('user', a)}`),
);

/** Two users, each with one of everything. */
const furnish = [1, 2]
  .map(
    (a) => `
  INSERT INTO users (id) VALUES (${ref('user', a)});
  INSERT INTO video_projects (id, user_id) VALUES (${ref('project', a)}, ${ref('user', a)});
  INSERT INTO photos (id, project_id, file_url) VALUES (${ref('photo', a)}, ${ref('project', a)}, 'u');
  INSERT INTO media_items (id, user_id, file_url) VALUES (${ref('item', a)}, ${ref('user', a)}, 'u');
  INSERT INTO generated_videos (id, project_id, generation_service, file_url) VALUES (${ref('video', a)}, ${ref('project', a)}, 'luma', 'u');
  INSERT INTO subscriptions (id, user_id) VALUES (${ref('subscription', a)}, ${ref('user', a)});`,
  )
  .join('');

const emptied = [...Object.values(tables), ...targets.map(({ name }) => name)]
  .map((name) => `DELETE FROM ${name}`)
  .join('; ');

test('every scope that a transaction changes is found from the rows that it changed', async () => {
  await using db = await testDatabase({ template: photomemory });
  const client = await db.client();
  const loaded = await loadPhotomemory(db.pool);
  const staleScopes = await staleSql(client);
  const transaction = fc.record({
    statements: fc.array(statement, { minLength: 1, maxLength: 2 }),
    keysOff: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(transaction, { minLength: 1, maxLength: 4 }), async (transactions) => {
      await client.query(
        `SET session_replication_role = replica; ${emptied}; RESET session_replication_role; ${furnish}`,
      );
      for (const { name } of targets) await derive(client, name);
      for (const { statements, keysOff } of transactions) {
        const before = await snapshot(client);
        // With foreign keys off orphans come and go, and nothing cascades into the new tables.
        await client.query(`SET session_replication_role = ${keysOff ? 'replica' : 'origin'}`);
        for (const sql of statements) await client.query(sql).catch((error) => expect(error.code, sql).toBe('23503'));
        await client.query('SET session_replication_role = replica');
        const found = await resolved(client, loaded, before);
        const stale = (await rows<{ stale: string }>(client, staleScopes)).map((row) => row.stale);
        expect(
          stale.filter((scope) => !found.has(scope)),
          statements.join('; '),
        ).toEqual([]);
        await client.query(
          `DELETE FROM generation_jobs; DELETE FROM project_media; DELETE FROM media_files; DELETE FROM user_subscriptions`,
        );
        for (const { name } of targets) await derive(client, name);
        await client.query('RESET session_replication_role');
      }
    }),
    { numRuns: 120, seed: 1 },
  );
}, 120_000);
