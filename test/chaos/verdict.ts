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
    if (oracle.length > 0) return `The oracle differs (${direction}): ${JSON.stringify(oracle.slice(0, 5))}`;
  } finally {
    client.release();
  }
  const views = await differences(pool, loaded[direction]);
  if (Object.keys(views).length === 0) return undefined;
  return `The views differ (${direction}): ${JSON.stringify(views).slice(0, 2_000)}`;
}
