import { retryQuarantined } from '../../engine/quarantine/retry.ts';
import { silent } from '../../engine/telemetry.ts';
import { mendTotalsSql, mendTrialSql } from '../support/mend.ts';
import type { Machine } from './machine.ts';
import { settle } from './settle.ts';

/** A row that is mended may make another one refused. */
const mostTimes = 6;

/**
 * What a team does before it cuts over: mends every row that the new schema refuses, and the totals that legacy keeps by
 * hand. To be called while legacy is the truth and nobody writes. @returns what is in the way.
 */
export async function mend(machine: Machine): Promise<string | undefined> {
  const { pool, loaded } = machine;
  for (let left = mostTimes; left > 0; left--) {
    await pool.query(mendTrialSql);
    const unsettled = await settle(machine);
    if (unsettled !== undefined) return unsettled;
    await retryQuarantined({ pool, loaded: loaded.forward, telemetry: silent, deadlineMs: Date.now() + 20_000 });
    const { rowCount } = await pool.query('SELECT FROM lockstep.quarantine LIMIT 1');
    if (rowCount !== 0) continue;
    await pool.query(mendTotalsSql);
    return await settle(machine);
  }
  const { rows } = await pool.query('SELECT target, scope, sqlstate, message FROM lockstep.quarantine LIMIT 5');
  return `Not mended: ${JSON.stringify(rows)}`;
}
