import type pg from 'pg';
import { unfinishedBackfills } from '../backfill/record.ts';
import { publicationName } from '../capture/names.ts';
import { publicationDeparture, readPublication } from '../capture/publication.ts';
import { quoteRelation } from '../identifiers.ts';
import { readInFlight } from '../ledger/watermark.ts';
import type { DirectionName } from '../migration/contract.ts';
import type { LoadedDirection } from '../migration/load.ts';
import { readQuarantineGroups, readStream } from '../status/queries.ts';
import { type Queryable, textRows } from '../text-query.ts';
import { passBarrier } from '../wait/barrier.ts';
import { type ArmableMigration, armedRelations } from './arm.ts';
import type { OpenTransaction, SwitchFacts, SwitchLimits } from './findings.ts';
import { witnessBody, witnessFunction } from './witness.ts';

export interface FactsRequest {
  readonly pool: pg.Pool;
  readonly migration: ArmableMigration;
  readonly ending: LoadedDirection;
  readonly starting: DirectionName;
  readonly deadLetters: number;
  readonly limits: SwitchLimits;
}

/** Reads all that decides whether the direction may change now. Nothing is locked; a barrier is written into the WAL. */
export async function readFacts({
  pool,
  migration,
  ending,
  starting,
  deadLetters,
  limits,
}: FactsRequest): Promise<SwitchFacts> {
  const endingStream = await readStream(pool, ending.name);
  const streaming = endingStream.slot?.active === true;
  return {
    ending: ending.name,
    starting,
    armingLacks: await armingLacks(pool, migration, ending, starting),
    endingStream,
    startingStream: await readStream(pool, starting),
    validation: await readWholeValidation(pool, migration, ending),
    unfinishedBackfills: (await unfinishedBackfills(pool, ending.name)).length,
    quarantine: await readQuarantineGroups(pool, ending.name),
    deadLetters,
    oldestInFlightMs: (await readInFlight(pool, ending.name)).oldestAgeMs,
    barrier: streaming ? await passBarrier({ db: pool, direction: ending.name, timeoutMs: limits.lagMs }) : undefined,
    openTransactions: await readOpenTransactions(pool),
    vacuumed: await readVacuumed(pool),
  };
}

const missingTriggersSql = `
  SELECT count(*) AS missing FROM lockstep.armed_trigger a
  WHERE NOT EXISTS (
    SELECT FROM pg_trigger t, lockstep.phase p
    WHERE t.tgrelid = a.relation AND t.tgname = a.name
      AND t.tgenabled = CASE WHEN lockstep.is_enabled(a.active_in, a.guards, p.phase, EXISTS (SELECT FROM lockstep.phase_change))
                             THEN 'A' ELSE 'D' END)`;
const witnessSql = 'SELECT prosrc AS body FROM pg_proc WHERE oid = to_regprocedure($1)';
const armedSql = 'SELECT EXISTS (SELECT FROM lockstep.armed) AS armed';
const tableArmedSql = 'SELECT EXISTS (SELECT FROM lockstep.armed_table WHERE relation = $1::regclass) AS armed';

async function armingLacks(
  db: Queryable,
  migration: ArmableMigration,
  ending: LoadedDirection,
  starting: DirectionName,
): Promise<string | undefined> {
  const [armed] = await textRows<{ armed: string }>(db, armedSql);
  if (armed?.armed !== 't') return '`lockstep arm` has not run';
  const facts = await readPublication(db, publicationName(starting));
  if (!facts) return `publication ${publicationName(starting)} does not exist`;
  const departure = publicationDeparture(facts, migration[starting].sources);
  if (departure !== undefined)
    return `publication ${publicationName(starting)} is not what the migration declares: ${departure}`;
  for (const relation of armedRelations(migration)) {
    const [table] = await textRows<{ armed: string }>(db, tableArmedSql, [quoteRelation(relation)]);
    if (table?.armed !== 't') return `table ${quoteRelation(relation)} was made, or declared, after it was armed`;
  }
  for (const target of ending.targets) {
    const [witness] = await textRows<{ body: string | null }>(db, witnessSql, [
      `${witnessFunction(ending.name, target)}()`,
    ]);
    if (witness?.body !== witnessBody(ending.name, target))
      return `what notes the writes to ${target.name} is not of this version`;
  }
  const [triggers] = await textRows<{ missing: string }>(db, missingTriggersSql);
  return triggers?.missing === '0'
    ? undefined
    : `${triggers?.missing} of its triggers were dropped, enabled or disabled`;
}

// What was written before the witnesses were there has nobody noted, and a step may have changed what the views say.
const validationSql = `
  SELECT v.verdict, v.rows_drifted AS drifted, extract(epoch FROM clock_timestamp() - v.started_at) AS ago
  FROM lockstep.validation v, lockstep.phase p
  WHERE v.direction = $1 AND v.targets @> $2::text[] AND v.sample_percent IS NULL AND v.finished_at IS NOT NULL
    AND (v.started_at > p.changed_at OR NOT EXISTS (SELECT FROM lockstep.phase_change))
    AND v.started_at > ALL (SELECT armed_at FROM lockstep.armed)
    AND v.started_at > ALL (SELECT applied_at FROM lockstep.step WHERE owner = $3 AND applied_at IS NOT NULL)
  ORDER BY v.started_at DESC LIMIT 1`;

async function readWholeValidation(
  db: Queryable,
  migration: ArmableMigration,
  { name, targets }: LoadedDirection,
): Promise<SwitchFacts['validation']> {
  const [row] = await textRows<{ verdict: string; drifted: string; ago: string }>(db, validationSql, [
    name,
    targets.map((target) => target.name),
    migration.name,
  ]);
  return row && { verdict: row.verdict, rowsDrifted: Number(row.drifted), secondsAgo: Number(row.ago) };
}

const transactionsSql = `
  SELECT format('process %s (%s, user %s)', pid, coalesce(nullif(application_name, ''), 'no application name'), usename) AS name,
         extract(epoch FROM clock_timestamp() - xact_start) AS seconds
  FROM pg_stat_activity
  WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL
  UNION ALL
  SELECT format('prepared transaction "%s" (user %s)', gid, owner), extract(epoch FROM clock_timestamp() - prepared)
  FROM pg_prepared_xacts WHERE database = current_database()`;

async function readOpenTransactions(db: Queryable): Promise<OpenTransaction[]> {
  const rows = await textRows<{ name: string; seconds: string | null }>(db, transactionsSql);
  return rows.map(({ name, seconds }) => ({ name, seconds: Number(seconds) }));
}

const vacuumSql = `
  SELECT relation::regclass::text AS name FROM lockstep.armed_table
  WHERE relation IN (SELECT relid FROM pg_stat_progress_vacuum WHERE datname = current_database())`;

async function readVacuumed(db: Queryable): Promise<string[]> {
  return (await textRows<{ name: string }>(db, vacuumSql)).map(({ name }) => name);
}
