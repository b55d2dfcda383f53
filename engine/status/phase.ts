import { LockstepError } from '../errors.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { Phase } from '../phases/transitions.ts';
import { type Queryable, textRows } from '../text-query.ts';

/**
 * The phase that the database is in.
 *
 * @throws LockstepError LS_NOT_MIGRATED
 */
export async function readPhase(db: Queryable): Promise<Phase> {
  const [table] = await textRows<{ present: string }>(
    db,
    `SELECT to_regclass('lockstep.phase') IS NOT NULL AS present`,
  );
  const [row] = table?.present === 't' ? await textRows<{ phase: Phase }>(db, 'SELECT phase FROM lockstep.phase') : [];
  if (!row) throw new LockstepError('LS_NOT_MIGRATED', 'The schema lockstep is not in this database.');
  return row.phase;
}

/**
 * The direction whose source is the truth now.
 *
 * @throws LockstepError LS_NOT_MIGRATED, LS_COMPLETE
 */
export async function activeDirection(db: Queryable): Promise<DirectionName> {
  const phase = await readPhase(db);
  if (phase === 'complete') throw new LockstepError('LS_COMPLETE', 'The migration of this database is complete.');
  return phase;
}

/** The direction that a status is about: the active one, or, when there is none any more, the last. */
export async function shownDirection(db: Queryable): Promise<DirectionName> {
  return (await readPhase(db)) === 'forward' ? 'forward' : 'reverse';
}
