import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { activeDirection } from '../../engine/status/phase.ts';
import { silent } from '../../engine/telemetry.ts';
import { oracleDifferences } from '../oracle/oracle.ts';
import { differences } from '../support/differences.ts';
import type { Machine } from './machine.ts';

/**
 * Whether both sides are what they should be: by the views of the active direction, and by the oracle's own SQL, which
 * derives the normalized tables from the legacy ones. While the normalized tables are the truth it says whether legacy
 * holds all that they do: derived from it, they must come out again.
 */
export async function verdict({ pool, loaded }: Machine): Promise<string | undefined> {
  const direction = await activeDirection(pool);
  await retryQuarantined({ pool, loaded: loaded[direction], telemetry: silent, deadlineMs: Date.now() + 20_000 });
  const client = await pool.connect();
  try {
    const oracle = await oracleDifferences(client);
    if (oracle.length > 0) {
      const { rows } = await client.query('SELECT target, scope, sqlstate, message FROM lockstep.quarantine LIMIT 20');
      return `The oracle differs (${direction}): ${JSON.stringify(oracle.slice(0, 5))}; in quarantine: ${JSON.stringify(rows)}`;
    }
  } finally {
    client.release();
  }
  // Every backfill is some message's here: without it nobody goes on with one, and a change of the direction waits for ever.
  const { rows: left } = await pool.query(
    `SELECT b.id, b.direction, b.reason FROM lockstep.backfill b
     WHERE b.finished_at IS NULL AND NOT EXISTS (SELECT FROM lockstep.in_flight f WHERE f.id = b.id)`,
  );
  if (left.length > 0) return `Backfills that nobody goes on with: ${JSON.stringify(left)}`;
  const views = await differences(pool, loaded[direction]);
  if (Object.keys(views).length === 0) return undefined;
  return `The views differ (${direction}): ${JSON.stringify(views).slice(0, 2_000)}`;
}
