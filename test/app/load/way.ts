import { setTimeout as pause } from 'node:timers/promises';
import { flagKeys } from '../../../app/flags/rule.ts';
import { shadowSettingKey } from '../../../app/flags/state.ts';
import { loadDirection } from '../../../engine/migration/load.ts';
import { arm } from '../../../engine/phases/arm.ts';
import { type SwitchChange, switchDirection } from '../../../engine/phases/switch.ts';
import { readStream } from '../../../engine/status/queries.ts';
import { silent } from '../../../engine/telemetry.ts';
import { validate } from '../../../engine/validate/validate.ts';
import { migration } from '../../../sql/migration.ts';
import type { World } from '../../e2e/world.ts';
import { eventually } from '../../support/eventually.ts';

/** What an operator does on the way, while the application runs. */
export interface Operator {
  /** The flags of all modules. */
  flags(value: unknown): Promise<void>;
  shadowReads(percentage: number): Promise<void>;
  backfilled(): Promise<void>;
  arm(): Promise<void>;
  /** Validates, and changes the direction; both again until it is done. Answers how long writers waited. */
  change(change: SwitchChange): Promise<number>;
  /** After a rollback: makes the normalized tables what legacy says, which has no place for all that they held. */
  repair(): Promise<void>;
}

const setSql =
  'INSERT INTO system_settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value';
const backfilledSql = `
  SELECT FROM lockstep.backfill WHERE direction = 'forward'
  HAVING count(*) > 0 AND count(*) FILTER (WHERE finished_at IS NULL) = 0`;

export function operate({ database }: World): Operator {
  const { pool } = database;
  const set = (key: string, value: unknown) => pool.query(setSql, [key, JSON.stringify(value)]);
  const agreed = async (direction: 'forward' | 'reverse') => {
    const loaded = await loadDirection(pool, direction, migration[direction] ?? migration.forward);
    const report = await validate({ pool, loaded, telemetry: silent });
    if (report.verdict === 'differs') throw new Error(JSON.stringify(report, undefined, 1));
    return report.agrees;
  };
  return {
    async flags(value) {
      for (const key of flagKeys) await set(key, value);
    },
    async shadowReads(percentage) {
      await set(shadowSettingKey, { percentage });
    },
    async backfilled() {
      await eventually(async () => (await pool.query(backfilledSql)).rowCount, { timeoutMs: 240_000 });
    },
    async arm() {
      await arm({ client: await database.client(), migration, telemetry: silent });
      await eventually(async () => (await readStream(pool, 'reverse')).slot?.active, { timeoutMs: 60_000 });
    },
    async change(change) {
      const ending = change === 'cutover' ? 'forward' : 'reverse';
      for (let tries = 1; ; tries += 1) {
        const limits = { transactionAgeMs: 10_000, lagMs: 30_000 };
        const shared = { pool, migration, change, maxPauseMs: 20_000, deadLetters: 0, telemetry: silent, limits };
        const outcome = (await agreed(ending)) ? await switchDirection(shared) : undefined;
        if (outcome?.outcome === 'switched') return outcome.pauseMs;
        if (tries === 10) throw new Error(JSON.stringify(outcome ?? 'not validated'));
        await pause(250);
      }
    },
    async repair() {
      const loaded = await loadDirection(pool, 'forward', migration.forward);
      const report = await validate({ pool, loaded, telemetry: silent, repair: true });
      if (!report.agrees) throw new Error(JSON.stringify(report, undefined, 1));
    },
  };
}
