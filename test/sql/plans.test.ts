import type { ClientBase } from 'pg';
import { expect, test } from 'vitest';
import { resolveSql } from '../../engine/apply/resolve.ts';
import { loadDirection } from '../../engine/migration/load.ts';
import { migration } from '../../sql/migration.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { testDatabase } from '../support/database.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';
import { derive, rows, value } from './world.ts';

/** Enough that reading a table whole is dear: 60,000 photos. */
const users = 3000;

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Recheck Cond'?: string;
  Plans?: PlanNode[];
}

/** Scans of whole tables: sequential ones, and those of an index without a condition. */
function wholeScans(node: PlanNode): string[] {
  const whole =
    node['Node Type'] === 'Seq Scan' ||
    (/^Index (Only )?Scan$/.test(node['Node Type']) && node['Index Cond'] === undefined);
  const here = whole && node['Relation Name'] ? [`${node['Node Type']} on ${node['Relation Name']}`] : [];
  return [...here, ...(node.Plans ?? []).flatMap(wholeScans)];
}

async function wholeScansOf(client: ClientBase, sql: string, values: unknown[]): Promise<string[]> {
  const plan = await value<[{ Plan: PlanNode }]>(client, `EXPLAIN (FORMAT json) ${sql}`, values);
  return wholeScans(plan[0].Plan);
}

test('no scope is derived and none is resolved by reading a table whole, with the settings of the server as they are', async () => {
  await using db = await testDatabase({ template: photomemory });
  const client = await db.client();
  await seedLegacy(client, { users });
  await derive(
    client,
    'user_subscriptions',
    "plan_id IN ('free', 'pro') AND coalesce(length(stripe_subscription_id), 0) < 256",
  );
  await derive(
    client,
    'media_files',
    'length(original_filename) < 256 AND length(mime_type) < 101 AND file_url IS NOT NULL',
  );
  await derive(client, 'project_media', 'display_order < 1000000 AND id IN (SELECT id FROM media_files)');
  await derive(client, 'generation_jobs', "status <> 'archived' AND length(generation_service) < 51");
  await client.query('ANALYZE user_subscriptions, media_files, project_media, generation_jobs');

  const dear: string[] = [];
  const note = (what: string, scans: string[]) => dear.push(...scans.map((scan) => `${what}: ${scan}`));
  for (const target of [...migration.forward.targets, ...(migration.reverse?.targets ?? [])]) {
    const { scope, walk } = target;
    const name = `${target.view.schema}.${target.view.name}`;
    for (const { relation, columns } of walk) {
      const keys = (
        await rows<{ key: string }>(
          client,
          `SELECT ${columns[0]}::text AS key FROM ${relation.name} ORDER BY 1 LIMIT 500`,
        )
      ).map(({ key }) => key);
      const view = `SELECT * FROM ${name} WHERE ${scope[0]}`;
      for (const count of [1, 10, 100, 500])
        note(
          `${count} scopes of ${name}`,
          await wholeScansOf(client, `${view} = ANY ($1::uuid[])`, [keys.slice(0, count)]),
        );
      note(
        `a range of ${name}`,
        await wholeScansOf(client, `${view} > $1::uuid AND ${scope[0]} <= $2::uuid`, [keys[100], keys[400]]),
      );
    }
  }
  const directions = [
    await loadPhotomemory(db.pool),
    await loadDirection(db.pool, 'reverse', migration.reverse ?? migration.forward),
  ];
  for (const { loaded, source } of directions.flatMap((loaded) =>
    loaded.sources.map((source) => ({ loaded, source })),
  )) {
    const columns = [...source.key, ...source.routing].map((column) => `${column}::text`);
    const events = await rows<{ event: (string | null)[] }>(
      client,
      `SELECT ARRAY[${columns.join(', ')}] AS event FROM ${source.name} ORDER BY ${source.key[0]} LIMIT 250`,
    );
    for (const count of [1, 250]) {
      const arrays = columns.map((_, index) => events.slice(0, count).map(({ event }) => event[index] ?? null));
      note(
        `${count} rows of ${source.name}, ${loaded.name}`,
        await wholeScansOf(client, resolveSql(loaded, source) ?? '', arrays),
      );
    }
  }
  expect(dear).toEqual([]);
}, 240_000);
