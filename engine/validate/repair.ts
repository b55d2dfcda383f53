import { defaultLimits } from '../apply/limits.ts';
import { doWork, noCounts, type WorkContext } from '../apply/work.ts';
import { withConnection } from '../connection.ts';
import type { LoadedTarget } from '../migration/load.ts';
import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';
import { recordDifferences } from './drift.ts';
import type { Repair } from './report.ts';
import type { Run } from './run.ts';
import { type SettleContext, type Settled, settle } from './settle.ts';

export interface RepairContext extends SettleContext {
  readonly run: Run;
  readonly telemetry: Telemetry;
}

interface Drifted {
  readonly key: readonly string[];
  readonly scope: readonly string[];
  readonly foundInScope: readonly string[] | undefined;
}

const rowsPerPage = 250;

/** What the run found and was not mended since. Rows in quarantine are not among it: the target has refused them. */
const pageSql = `
  SELECT to_json(key) AS key, to_json(scope) AS scope, to_json(found_in_scope) AS found FROM lockstep.drift d
  WHERE direction = $1 AND target = $2 AND validation_id = $3 AND NOT quarantined AND ended_at IS NULL
    AND (kind = 'extra') = $4 AND ($5::text[] IS NULL OR d.key > $5::text[])
  ORDER BY d.key LIMIT ${rowsPerPage}`;
const endedSql = `
  UPDATE lockstep.drift d SET ended_at = clock_timestamp(), ended_by = 'repair'
  FROM json_array_elements($4::json) AS k (key)
  WHERE d.direction = $1 AND d.target = $2 AND d.validation_id = $3 AND d.key = ARRAY(SELECT json_array_elements_text(k.key))`;

/**
 * Merges the scopes in which a run has found drift, as a change of their rows would, and compares them again. Rows that
 * are too many go first, children before parents; then comes what is missing or different, parents before children.
 *
 * @throws errors that no repetition mends.
 */
export async function repairDrift(context: RepairContext): Promise<Repair> {
  const targets = context.loaded.targets.filter(({ name }) => context.run.targets.includes(name));
  const order = [
    ...[...targets].reverse().map((target) => ({ target, extra: true })),
    ...targets.map((target) => ({ target, extra: false })),
  ];
  const counts = noCounts();
  const work: WorkContext = { ...context, limits: defaultLimits, failpoints: () => {} };
  let rows = 0;
  let outcome: Repair['outcome'] = 'done';
  for (const { target, extra } of order) {
    for (let page = await readPage(context, target, extra); page.length > 0 && outcome === 'done'; ) {
      const scopes = scopesOf(page).map((scope) => ({ target, scope }));
      const first = { scopes, extensions: 0 };
      const merged = await doWork(work, { rows: new Map() }, [], context.deadlineMs, counts, first);
      if (merged.kind === 'unreadable') throw merged.error;
      outcome = merged.kind;
      if (outcome === 'done') rows += await verify(context, target, page);
      page = await readPage(context, target, extra, page.at(-1)?.key);
    }
  }
  const { inserted, updated, deleted, quarantined } = counts;
  return { outcome, rows, scopes: counts.scopes, inserted, updated, deleted, quarantined };
}

async function readPage(
  { pool, run }: RepairContext,
  target: LoadedTarget,
  extra: boolean,
  after?: readonly string[],
): Promise<Drifted[]> {
  const parameters = [run.direction, target.name, run.id, extra, after ?? null];
  const rows = await textRows<{ key: string; scope: string; found: string | null }>(pool, pageSql, parameters);
  return rows.map(({ key, scope, found }) => ({
    key: JSON.parse(key),
    scope: JSON.parse(scope),
    foundInScope: found === null ? undefined : JSON.parse(found),
  }));
}

function scopesOf(page: readonly Drifted[]): string[][] {
  const scopes = page.flatMap(({ scope, foundInScope }) => [scope, foundInScope ?? scope]);
  return [...new Map(scopes.map((scope) => [JSON.stringify(scope), [...scope]])).values()];
}

/** Compares what was merged again and records which rows agree now. @returns how many. */
async function verify(context: RepairContext, target: LoadedTarget, page: readonly Drifted[]): Promise<number> {
  const { pool, run } = context;
  const settled = await settle(context, target, scopesOf(page));
  const mended = page.filter((row) => isMended(row, settled)).map(({ key }) => key);
  await withConnection(pool, async (client) => {
    await client.query('BEGIN');
    await client.query(endedSql, [run.direction, target.name, run.id, JSON.stringify(mended)]);
    await recordDifferences(client, run, target, [...settled.drift, ...settled.quarantined]);
    await client.query('COMMIT');
  });
  return mended.length;
}

function isMended({ key, scope }: Drifted, settled: Settled): boolean {
  const same = (a: readonly string[], b: readonly string[]) => JSON.stringify(a) === JSON.stringify(b);
  const differs = [...settled.drift, ...settled.quarantined].some((difference) => same(difference.key, key));
  return !differs && !settled.unsettled.some((unsettled) => same(unsettled, scope));
}
