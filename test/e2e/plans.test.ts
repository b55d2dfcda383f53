import pg from 'pg';
import { expect, test } from 'vitest';
import { resolveSql } from '../../engine/apply/resolve.ts';
import { upperBoundSql } from '../../engine/backfill/bounds.ts';
import { movedSql } from '../../engine/merge/moved.ts';
import { extentOfRange, extentOfScopes } from '../../engine/merge/predicate.ts';
import { mergeSql } from '../../engine/merge/statements.ts';
import { beginMerge } from '../../engine/merge/transaction.ts';
import type { LoadedDirection, LoadedTarget } from '../../engine/migration/load.ts';
import { migration } from '../../sql/migration.ts';
import { seedLegacy } from '../../sql/seed.ts';
import { rows, value } from '../sql/world.ts';
import { testDatabase } from '../support/database.ts';
import { loadPhotomemory, photomemory } from '../support/photomemory.ts';

/** `npm run plans` looks at a million photos. */
const photos = Number(process.env.LOCKSTEP_TEST_PHOTOS ?? 100_000);
const photosPerUser = 20;

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Join Type'?: string;
  Plans?: PlanNode[];
}

const legacy = new Set(migration.forward.sources.map(({ relation }) => relation.name));

/** Readings of whole legacy tables: sequential scans, and those of an index without a condition that no LIMIT ends. */
function wholeReadings(node: PlanNode, limited = false): string[] {
  const type = node['Node Type'];
  const table = node['Relation Name'];
  const throughIndex = /^Index (Only )?Scan$/.test(type) && node['Index Cond'] === undefined && !limited;
  const here = table && legacy.has(table) && (type === 'Seq Scan' || throughIndex) ? [`${type} on ${table}`] : [];
  const below = type === 'Limit' || (limited && !/Join|Nested Loop|Sort|Aggregate/.test(type));
  return [...here, ...(node.Plans ?? []).flatMap((child) => wholeReadings(child, below))];
}

/** Derived rows must meet the target's by a join that cannot be a loop of one over the other. */
function unpaired(plan: PlanNode): string[] {
  const pairs = (node: PlanNode): boolean => node['Join Type'] === 'Full' || (node.Plans ?? []).some(pairs);
  return pairs(plan) ? [] : ['no full join'];
}

async function planOf(client: pg.Client, sql: string, values: readonly unknown[] = []): Promise<PlanNode> {
  const [first] = await value<[{ Plan: PlanNode }]>(client, `EXPLAIN (FORMAT json) ${sql}`, [...values]);
  return first.Plan;
}

/** The plan that a connection makes once and keeps, whatever the values: `plan_cache_mode` is the merge's own. */
async function keptPlan(
  client: pg.Client,
  sql: string,
  values: readonly (readonly (string | null)[])[],
): Promise<PlanNode> {
  await client.query(`PREPARE kept AS ${sql}`);
  const arrays = values.map((array) => pg.escapeLiteral(`{${array.map((part) => part ?? 'NULL').join(',')}}`));
  const plan = await planOf(client, `EXECUTE kept (${arrays.join(', ')})`);
  await client.query('DEALLOCATE kept');
  return plan;
}

function planOfScopes(client: pg.Client, target: LoadedTarget, scopes: readonly { id: string }[]): Promise<PlanNode> {
  const extent = extentOfScopes(
    target,
    scopes.map(({ id }) => [id]),
  );
  return keptPlan(client, mergeSql(target, extent), extent.parameters as string[][]);
}

async function plansOfMoved(
  client: pg.Client,
  { sources }: LoadedDirection,
  target: LoadedTarget,
  note: (what: string, plan: PlanNode) => void,
): Promise<void> {
  for (const source of sources.filter(({ name }) => target.keyedBy?.includes(name))) {
    const keys = await rows<{ id: string }>(client, `SELECT id::text FROM ${source.name} ORDER BY id LIMIT 500`);
    const plan = await keptPlan(client, movedSql(target, source) ?? '', [keys.map(({ id }) => id)]);
    note(`rows moved from ${target.name} by ${source.name}`, plan);
  }
}

test(`with ${photos} photos, no merge and no backfill chunk reads a legacy table sequentially`, {
  timeout: 900_000,
}, async () => {
  await using db = await testDatabase({ template: photomemory });
  const client = await db.client();
  const loaded = await loadPhotomemory(db.pool);
  const found: string[] = [];
  const look = async (moment: string) => {
    const note = (what: string, plan: PlanNode) =>
      found.push(...wholeReadings(plan).map((reading) => `${moment}, ${what}: ${reading}`));
    await beginMerge(client, 'forward', {});
    for (const target of loaded.targets) {
      const [walk] = target.walk;
      const scopes = await rows<{ id: string }>(
        client,
        `SELECT ${walk?.columns[0]}::text AS id FROM ${walk?.relation.name} ORDER BY 1 LIMIT 50001`,
      );
      const scope = (index: number) => [
        scopes[Math.min(index, scopes.length - 1)]?.id ?? '00000000-0000-0000-0000-000000000000',
      ];
      for (const count of [1, 500]) {
        const plan = await planOfScopes(client, target, scopes.slice(0, count));
        note(`${count} scopes of ${target.name}`, plan);
        found.push(...unpaired(plan).map((problem) => `${moment}, ${count} scopes of ${target.name}: ${problem}`));
      }
      for (const size of [500, 50_000]) {
        const ranges = { 'first chunk': [null, scope(size)], chunk: [scope(0), scope(size)] } as const;
        for (const [name, [after, upTo]] of Object.entries(ranges)) {
          const extent = extentOfRange(target, after, upTo);
          // As many scopes as half of a table are not looked up one by one: that is a whole reading by any plan.
          if (size > photos / 10) continue;
          note(
            `${name} of ${size} scopes of ${target.name}`,
            await planOf(client, mergeSql(target, extent), extent.parameters),
          );
        }
        note(
          `bound of a chunk of ${target.name}`,
          await planOf(client, upperBoundSql(target, false), [size, ...scope(0)]),
        );
      }
      await plansOfMoved(client, loaded, target, note);
      note(`bound of the first chunk of ${target.name}`, await planOf(client, upperBoundSql(target, true), [500]));
    }
    for (const source of loaded.sources) {
      const columns = [...source.key, ...source.routing].map((column) => `${column}::text`);
      const events = await rows<{ event: (string | null)[] }>(
        client,
        `SELECT ARRAY[${columns.join(', ')}] AS event FROM ${source.name} ORDER BY ${source.key[0]} LIMIT 250`,
      );
      const arrays = columns.map((_, index) => events.map(({ event }) => event[index] ?? null));
      note(`rows of ${source.name}`, await keptPlan(client, resolveSql(loaded, source) ?? '', arrays));
    }
    await client.query('ROLLBACK');
  };

  // A plan that is made while the tables are empty is kept when they are large.
  await look('of empty tables');
  await seedLegacy(client, { users: photos / photosPerUser });
  await look('of large tables');
  expect(found).toEqual([]);
});

test('a plan that was made while a target was empty, and analyzed, is not kept when it has grown', async () => {
  await using db = await testDatabase({ template: photomemory });
  const client = await db.client();
  await seedLegacy(client, { users: 100 });
  await client.query('ANALYZE');
  const loaded = await loadPhotomemory(db.pool);
  const target = loaded.targets.find(({ name }) => name === 'media_files');
  if (!target) throw new Error('no media_files');
  const extent = extentOfScopes(target, []);
  await client.query(`PREPARE kept AS ${mergeSql(target, extent)}`);
  const readings = async () => {
    await beginMerge(client, 'forward', {});
    const plan = await planOf(client, "EXECUTE kept ('{}')");
    await client.query('COMMIT');
    const whole = (node: PlanNode): boolean =>
      (node['Relation Name'] === 'media_files' &&
        /^Index/.test(node['Node Type']) &&
        node['Index Cond'] === undefined) ||
      (node.Plans ?? []).some(whole);
    return whole(plan);
  };
  expect(await readings()).toBe(true);
  await client.query(`
    INSERT INTO media_files (id, user_id, original_filename, file_key, file_url, file_type, mime_type, file_size_bytes)
    SELECT gen_random_uuid(), u.id, 'f', n || u.id::text, 'u', 'image', 'image/jpeg', 1 FROM users u, generate_series(1, 50) n`);
  expect(await readings()).toBe(false);
});

test('a whole reading is found in a plan', async () => {
  await using db = await testDatabase({ template: photomemory });
  const client = await db.client();
  expect(wholeReadings(await planOf(client, 'SELECT count(*) FROM photos'))).toEqual(['Seq Scan on photos']);
  await client.query('SET enable_seqscan = off');
  expect(wholeReadings(await planOf(client, 'SELECT id FROM photos ORDER BY id'))).toHaveLength(1);
  expect(wholeReadings(await planOf(client, 'SELECT id FROM photos ORDER BY id LIMIT 5'))).toEqual([]);
});
