import { type Queryable, textRows } from '../text-query.ts';
import type { Phase } from './transitions.ts';

export interface Arming {
  readonly phase: Phase;
  /** Whether the other direction is prepared: its publication and its triggers exist. */
  readonly armed: boolean;
}

const armingSql = `
  SELECT phase, EXISTS (SELECT FROM lockstep.armed) AS armed FROM lockstep.phase`;

/** Where the migration stands, as far as it decides which streams are needed. */
export async function readArming(db: Queryable): Promise<Arming> {
  const [row] = await textRows<{ phase: Phase; armed: string }>(db, armingSql);
  return { phase: row?.phase ?? 'forward', armed: row?.armed === 't' };
}
