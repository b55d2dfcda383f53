import type pg from 'pg';
import { prepared } from '../merge/transaction.ts';
import type { DirectionName } from '../migration/contract.ts';

// Both are asked for each batch, and take longer to plan than to run.
const present = prepared('SELECT id::text AS id FROM lockstep.in_flight WHERE id = ANY ($1::uuid[])');

/** Which of these messages are entered in the ledger. One that is not has been finished, or forgotten to be read again. */
export async function presentInLedger(db: Pick<pg.ClientBase, 'query'>, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>({ ...present, values: [ids] });
  return new Set(rows.map((row) => row.id));
}

const holdSql = 'SELECT FROM lockstep.in_flight WHERE id = $1 FOR KEY SHARE';

/**
 * Whether this message is entered; if so, nobody strikes it out before the transaction ends. Whoever waits for that finds
 * what it has written in his next statement.
 */
export async function holdEntry(client: pg.ClientBase, id: string): Promise<boolean> {
  return (await client.query(holdSql, [id])).rowCount === 1;
}

const strike = prepared(`
  WITH struck AS (DELETE FROM lockstep.in_flight WHERE id = ANY ($1::uuid[]) RETURNING committed_at)
  SELECT (SELECT coalesce(json_agg(extract(epoch FROM clock_timestamp() - committed_at) * 1000), '[]') FROM struck) AS "lagsMs",
         EXISTS (SELECT FROM lockstep.quarantine WHERE direction = $2) AS "anyQuarantined"`);

export interface Struck {
  /** Commit of the change to now, for each entry that was there. */
  readonly lagsMs: readonly number[];
  readonly anyQuarantined: boolean;
}

/** Strikes finished messages out of the ledger, in the transaction that finished them. */
export async function strikeOut(
  client: pg.ClientBase,
  direction: DirectionName,
  ids: readonly string[],
): Promise<Struck> {
  const { rows } = await client.query<Struck>({ ...strike, values: [ids, direction] });
  return rows[0] ?? { lagsMs: [], anyQuarantined: true };
}

const strikeFencedSql = `
  WITH struck AS (
    DELETE FROM lockstep.in_flight WHERE id = ANY ($1::uuid[]) AND (SELECT phase FROM lockstep.phase) <> $2 RETURNING id)
  DELETE FROM lockstep.backfill b USING struck WHERE b.id = struck.id AND b.finished_at IS NULL`;

/**
 * Strikes out messages that came too late: their direction is not the active one any more. At the commit that made it so
 * everything was applied, so what they name is of no account; it would hold up the barriers of a later time. In the
 * caller's transaction, under the direction's lock.
 */
export async function strikeFenced(
  client: pg.ClientBase,
  direction: DirectionName,
  ids: readonly string[],
): Promise<void> {
  await client.query(strikeFencedSql, [ids, direction]);
}
