import { z } from 'zod';
import type { Sql } from '../sql.ts';
import { type FlagKey, type FlagRule, flagKeys, parseRule } from './rule.ts';

/** Which side is the truth: `forward` legacy; `reverse` normalized; `complete`: there is no legacy any more. */
export type Phase = 'forward' | 'reverse' | 'complete';

/** Everything that decides where to read and write, as of one moment. */
export interface State {
  readonly phase: Phase;
  /** Tells one time of a phase from another. */
  readonly phaseSince: string;
  /** undefined: the value is not understood. A flag that has no row is off. */
  readonly flags: ReadonlyMap<FlagKey, FlagRule | undefined>;
  /** Whether the normalized tables have been filled, and are not being filled again. */
  readonly filled: boolean;
  /** How old the oldest legacy change is that the normalized tables may lack; Infinity when nobody applies changes. */
  readonly behindSeconds: number;
  /** Of the reads: how many are asked of both sides. */
  readonly shadowPercentage: number;
}

export const shadowSettingKey = 'lockstep_shadow_reads';

export const stateSql = `
  SELECT p.phase, p.changed_at::text AS "phaseSince",
    (SELECT coalesce(jsonb_object_agg(s.key, s.value), '{}') FROM public.system_settings s WHERE s.key = ANY ($1)) AS settings,
    EXISTS (SELECT FROM lockstep.backfill b WHERE b.direction = 'forward' AND b.finished_at IS NOT NULL)
      AND NOT EXISTS (SELECT FROM lockstep.backfill b WHERE b.direction = 'forward' AND b.finished_at IS NULL) AS filled,
    (SELECT extract(epoch FROM clock_timestamp() - least(t.listener_seen_at, oldest.committed_at))
     FROM lockstep.stream t
     LEFT JOIN LATERAL (SELECT f.committed_at FROM lockstep.in_flight f
       WHERE f.direction = 'forward' ORDER BY f.commit_lsn LIMIT 1) AS oldest ON true
     WHERE t.direction = 'forward' AND t.listener_seen_at IS NOT NULL) AS "behindSeconds"
  FROM lockstep.phase p`;

const stateRow = z.strictObject({
  phase: z.enum(['forward', 'reverse', 'complete']),
  phaseSince: z.string(),
  settings: z.record(z.string(), z.unknown()),
  filled: z.boolean(),
  behindSeconds: z.number().nullable(),
});

/** Before `lockstep migrate` has been here: legacy is all there is. */
const notMigrated: State = {
  phase: 'forward',
  phaseSince: '',
  flags: new Map(),
  filled: false,
  behindSeconds: Number.POSITIVE_INFINITY,
  shadowPercentage: 0,
};

export function isMigrated(state: State): boolean {
  return state !== notMigrated;
}

const missing = new Set(['42P01', '3F000']);

/** Reads the state, in one snapshot. */
export async function readState(sql: Sql): Promise<State> {
  try {
    const row = await sql.row(stateRow, stateSql, [[...flagKeys, shadowSettingKey]]);
    if (!row) return notMigrated;
    const known = flagKeys.filter((key) => key in row.settings);
    return {
      phase: row.phase,
      phaseSince: row.phaseSince,
      flags: new Map(known.map((key) => [key, parseRule(row.settings[key])])),
      filled: row.filled,
      behindSeconds: row.behindSeconds ?? Number.POSITIVE_INFINITY,
      shadowPercentage: percentageOf(row.settings[shadowSettingKey]),
    };
  } catch (error) {
    if (missing.has((error as { code?: string }).code ?? '')) return notMigrated;
    throw error;
  }
}

export const phaseSql = 'SELECT phase FROM lockstep.phase';
const phaseRow = stateRow.pick({ phase: true });

/** The phase alone, as of the statement. */
export async function readPhase(sql: Sql): Promise<Phase> {
  return (await sql.row(phaseRow, phaseSql))?.phase ?? 'forward';
}

/** `{"percentage": 1}`; anything else is none. */
function percentageOf(value: unknown): number {
  return z.strictObject({ percentage: z.number().min(0).max(100) }).safeParse(value).data?.percentage ?? 0;
}
