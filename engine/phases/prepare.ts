import { type Queryable, textRows } from '../text-query.ts';
import type { SwitchContext } from './attempt.ts';
import type { Refusal } from './findings.ts';
import { compareTouched, countTouched } from './touched.ts';

/** Why the locks are not asked for. */
export type Unprepared =
  | { readonly outcome: 'refused'; readonly refusals: readonly Refusal[] }
  /** The deadline came first. */
  | { readonly outcome: 'continue'; readonly scopesLeft: number };

/** So many scopes may be left for the moment in which writers wait. */
const fewScopes = 500;
/** As long as `long-transaction` lets a transaction of this database be open; those of others are not looked at there. */
const waitForTransactionsMs = 5_000;
const askEveryMs = 100;

/**
 * Compares what was touched since the last validation, while nobody waits, until little is left. What has been written
 * after a transaction began that is still open, in any database of the server, cannot be told from what that one may
 * write (`pg_snapshot_xmin`); it is waited for.
 *
 * @returns undefined: the locks may be asked for.
 */
export async function prepare(
  { client, pool, ending, failpoints }: SwitchContext,
  deadlineMs: number,
): Promise<Unprepared | undefined> {
  let waitUntilMs: number | undefined;
  for (;;) {
    const { compared, agreed } = await compareTouched(client, ending);
    const scopesLeft = await countTouched(pool, ending.name);
    const timeIsUp = Date.now() >= deadlineMs;
    if (scopesLeft <= fewScopes && (agreed === 0 || compared < fewScopes || timeIsUp)) return undefined;
    // What does not agree at once is on its way, or has drifted: the comparison under the locks would tell.
    if (compared > 0 && agreed === 0) return tooMuch(`${scopesLeft} scopes ${unlike}.`);
    if (timeIsUp) return { outcome: 'continue', scopesLeft };
    if (compared > 0) {
      waitUntilMs = undefined;
      continue;
    }
    waitUntilMs ??= performance.now() + waitForTransactionsMs;
    if (performance.now() > waitUntilMs) {
      return tooMuch(`${scopesLeft} scopes ${unseen}: ${await describeWriters(pool)}.`);
    }
    await failpoints('switch.waits');
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
  }
}

const unlike = 'have been written since they were last compared, and do not agree yet';
const unseen =
  'have been written since a transaction began that is still open, and cannot be compared before it has ended';

function tooMuch(reason: string): Unprepared {
  const remedy = 'Run `lockstep wait` and `lockstep validate`, and end transactions that are open for long.';
  return { outcome: 'refused', refusals: [{ name: 'too-much-to-compare', reason, remedy }] };
}

// One that belongs to another user has no transaction id here without pg_read_all_stats.
const writersSql = `
  SELECT name, seconds FROM (
    SELECT format('process %s (%s) in database %s', pid, coalesce(nullif(application_name, ''), 'no application name'), datname) AS name,
           round(extract(epoch FROM clock_timestamp() - xact_start)) AS seconds
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    UNION ALL
    SELECT format('prepared transaction "%s" in database %s', gid, database), round(extract(epoch FROM clock_timestamp() - prepared))
    FROM pg_prepared_xacts) AS open
  ORDER BY seconds DESC LIMIT 3`;

async function describeWriters(db: Queryable): Promise<string> {
  const rows = await textRows<{ name: string; seconds: string }>(db, writersSql);
  if (rows.length === 0) return 'which one, this role may not see';
  return rows.map(({ name, seconds }) => `${name}, open for ${seconds} s`).join('; ');
}
