import { LockstepError } from '../errors.ts';
import type { Checks } from '../migration/contract.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { passBarrier } from '../wait/barrier.ts';
import type { CheckResult, Listing } from './report.ts';
import { isOver, type SettleContext } from './settle.ts';

type Level = CheckResult['level'];

const mostAttempts = 5;
const barrierMs = 20_000;

/**
 * Asks a migration's checks of one level. Under traffic the two sides are never at the same point, so a check has passed
 * when it passes in one snapshot, and has failed only when it fails in a snapshot for which it is proved that nothing was
 * on its way; one that does neither is `moving`, and the rows tell.
 *
 * @returns undefined when the deadline came first.
 */
export async function runChecks(
  context: SettleContext,
  level: Level,
  query: string,
): Promise<CheckResult[] | undefined> {
  const results = new Map<string, CheckResult>();
  for (let attempt = 1; attempt <= mostAttempts; attempt += 1) {
    const before = await lastEntry(context.pool);
    const caughtUp = await barrier(context);
    for (const result of await ask(context.pool, level, query)) {
      if (results.get(result.name)?.outcome !== 'pass') results.set(result.name, result);
    }
    const open = [...results.values()].filter(({ outcome }) => outcome !== 'pass');
    if (open.length === 0) break;
    if (isOver(context)) return undefined;
    if (!caughtUp) break;
    if ((await barrier(context)) && (await lastEntry(context.pool)) === before) {
      for (const check of open) results.set(check.name, { ...check, outcome: 'fail' });
      break;
    }
  }
  return [...results.values()];
}

async function ask(db: Queryable, level: Level, query: string): Promise<CheckResult[]> {
  const rows = await textRows<Record<string, string | null>>(db, query);
  return rows.map(({ check_name: name, status, ...values }) => {
    if (typeof name !== 'string')
      throw new LockstepError('LS_MIGRATION_INVALID', `The migration's ${level} return no check_name.`);
    return { level, name, outcome: status === 'PASS' ? 'pass' : 'moving', values };
  });
}

/**
 * The number of the ledger's last entry. If it is the same before a barrier and after a second one that was raised
 * later, then no source row changed between the two, and what had changed before was applied: a snapshot taken between
 * them saw both sides at the same point.
 */
async function lastEntry(db: Queryable): Promise<string | null | undefined> {
  const sequence = "pg_get_serial_sequence('lockstep.in_flight', 'seq')::regclass";
  return (await textRows<{ last: string | null }>(db, `SELECT pg_sequence_last_value(${sequence}) AS last`))[0]?.last;
}

async function barrier({ pool, loaded, clock, signal, deadlineMs }: SettleContext): Promise<boolean> {
  const timeoutMs = Math.min(barrierMs, deadlineMs - clock.nowMs());
  if (timeoutMs <= 0) return false;
  return (await passBarrier({ db: pool, direction: loaded.name, timeoutMs, clock, ...(signal && { signal }) })).applied;
}

const shownRows = 20;

/** What the migration wants people to know: how many rows of each kind, and some of them. */
export async function readListings(db: Queryable, { listings = {} }: Checks): Promise<Listing[]> {
  const read: Listing[] = [];
  for (const [title, query] of Object.entries(listings)) {
    const [row] = await textRows<{ rows: string; examples: string | null }>(
      db,
      `WITH listed AS MATERIALIZED (${query})
       SELECT (SELECT count(*) FROM listed) AS rows, (SELECT json_agg(l) FROM (SELECT * FROM listed LIMIT ${shownRows}) l) AS examples`,
    );
    const examples = JSON.parse(row?.examples ?? '[]') as Record<string, unknown>[];
    read.push({
      title,
      rows: Number(row?.rows),
      columns: Object.keys(examples[0] ?? {}),
      examples: examples.map((example) => Object.values(example).map(asText)),
    });
  }
  return read;
}

function asText(value: unknown): string | null {
  if (value === null) return null;
  if (Array.isArray(value)) return value.map(asText).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
