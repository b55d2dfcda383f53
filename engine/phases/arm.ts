import type pg from 'pg';
import { ensurePublication } from '../capture/publication.ts';
import { LockstepError } from '../errors.ts';
import { quoteRelation } from '../identifiers.ts';
import { switchLock } from '../locks.ts';
import type { DirectionName, Migration, Relation } from '../migration/contract.ts';
import { type LoadedDirection, loadDirection } from '../migration/load.ts';
import { activeDirection } from '../status/phase.ts';
import {
  defaultLockLimits,
  describeOpenTransactions,
  isLockFailure,
  type LockLimits,
  withLockRetries,
} from '../steps/lock-wait.ts';

import type { Telemetry } from '../telemetry.ts';
import { textRows } from '../text-query.ts';
import { guardTriggers, isSame, readDefaults, type Side } from './guards.ts';
import { refuseRules } from './rules.ts';
import { type ArmedTrigger, witnessFunctionSql, witnessTriggers } from './witness.ts';

/** A migration that can be cut over. */
export interface ArmableMigration extends Migration {
  readonly reverse: NonNullable<Migration['reverse']>;
  readonly guards: NonNullable<Migration['guards']>;
}

/**
 * A migration that declares the way back.
 *
 * @throws LockstepError LS_NO_WAY_BACK
 */
export function armable(migration: Migration): ArmableMigration {
  const { reverse, guards } = migration;
  if (reverse && guards) return { ...migration, reverse, guards };
  const lacking = reverse ? 'guards' : 'reverse direction';
  throw new LockstepError('LS_NO_WAY_BACK', `The migration "${migration.name}" declares no ${lacking}.`);
}

export interface ArmOptions {
  /** A connection of its own, of the owner of the tables; its session settings are changed. */
  readonly client: pg.ClientBase;
  readonly migration: Migration;
  readonly telemetry: Telemetry;
  readonly limits?: LockLimits;
}

/**
 * Prepares the way back: the reverse publication, the guards of both sides (disabled until the direction changes) and the
 * witnesses. The listener makes the slot as soon as it sees that. One transaction; repeating it brings everything to what
 * the migration declares now. What was validated before has to be validated again: nobody has noted what was written since.
 *
 * @throws LockstepError LS_NO_WAY_BACK, LS_COMPLETE, LS_NOT_MIGRATED, LS_MIGRATION_INVALID, LS_SOURCE_…,
 * LS_PUBLICATION_DIFFERS, LS_TARGET_RULE; LS_ARM_LOCKED when a table stays locked by others.
 */
export async function arm({ client, migration, telemetry, limits = defaultLockLimits }: ArmOptions): Promise<void> {
  const whole = armable(migration);
  await activeDirection(client);
  const directions = {
    forward: await loadDirection(client, 'forward', whole.forward),
    reverse: await loadDirection(client, 'reverse', whole.reverse),
  };
  await refuseRules(client, [...whole.reverse.targets, ...whole.forward.targets]);
  const attempt = async () => {
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL lock_timeout = ${Math.round(limits.lockTimeoutMs)}`);
      // Never beside a change of the direction: the triggers of the phase that it ends would be enabled after it.
      await client.query('SELECT pg_advisory_xact_lock($1)', [switchLock()]);
      const phase = await activeDirection(client);
      await ensurePublication(client, 'reverse', whole.reverse);
      const former = await textRows<FormerTrigger>(client, formerSql);
      await client.query('DELETE FROM lockstep.armed_table');
      for (const relation of armedRelations(whole)) await enterTable(client, relation);
      for (const name of ['forward', 'reverse'] as const) await makeWitnesses(client, directions[name]);
      for (const side of ['legacy', 'normalized'] as const) await makeGuards(client, whole, side);
      await dropFormer(client, former);
      await client.query(setTriggersSql, [phase]);
      await client.query(armedSql);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  };
  try {
    await withLockRetries(limits, attempt, () => telemetry.log('info', 'arm waits for a lock'));
  } catch (error) {
    if (!isLockFailure(error)) throw error;
    const holders = await describeOpenTransactions(client);
    throw new LockstepError('LS_ARM_LOCKED', `A table of the migration is locked by others. ${holders}`, {
      cause: error,
    });
  }
}

/** Every table that a change of the direction locks, guards or watches; parents first, as applications write them. */
export function armedRelations({ forward, reverse, guards }: ArmableMigration): Relation[] {
  const all = [
    ...forward.sources.map(({ relation }) => relation),
    ...guards.legacy.map(({ relation }) => relation),
    ...forward.targets.map(({ relation }) => relation),
    ...reverse.sources.map(({ relation }) => relation),
    ...guards.normalized.map(({ relation }) => relation),
    ...reverse.targets.map(({ relation }) => relation),
  ];
  return all.filter((relation, index) => all.findIndex((other) => isSame(other, relation)) === index);
}

// At the end, when all tables are locked against writers: a validation that begins after it sees all that was written before.
const armedSql = `
  INSERT INTO lockstep.armed DEFAULT VALUES ON CONFLICT (singleton) DO UPDATE SET armed_at = clock_timestamp()`;
const setTriggersSql = 'SELECT lockstep.set_triggers($1, EXISTS (SELECT FROM lockstep.phase_change))';
const enterTableSql = 'INSERT INTO lockstep.armed_table (relation) VALUES ($1::regclass)';
const enterTriggerSql = `
  INSERT INTO lockstep.armed_trigger (relation, name, active_in, guards) VALUES ($1::regclass, $2, $3, $4)`;

const formerSql = 'SELECT relation::text AS relation, name FROM lockstep.armed_trigger';
// What an earlier migration, or a default that has been changed since, had armed.
const superfluousSql = `
  SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) AS sql
  FROM unnest($1::oid[], $2::text[]) AS f (relation, name) JOIN pg_trigger t ON t.tgrelid = f.relation AND t.tgname = f.name
  WHERE NOT EXISTS (SELECT FROM lockstep.armed_trigger a WHERE a.relation = f.relation AND a.name = f.name)`;

interface FormerTrigger extends Record<string, string> {
  relation: string;
  name: string;
}

/** Drops what was armed and is no longer asked for: disabled or not, nobody would look after it. */
async function dropFormer(client: pg.ClientBase, former: readonly FormerTrigger[]): Promise<void> {
  const columns = [former.map(({ relation }) => relation), former.map(({ name }) => name)];
  for (const { sql } of await textRows<{ sql: string }>(client, superfluousSql, columns)) await client.query(sql);
}

async function enterTable(client: pg.ClientBase, relation: Relation): Promise<void> {
  await client.query(enterTableSql, [quoteRelation(relation)]);
}

async function makeWitnesses(client: pg.ClientBase, { name, targets }: LoadedDirection): Promise<void> {
  for (const target of targets) {
    await client.query(witnessFunctionSql(name, target));
    for (const trigger of witnessTriggers(name, target)) await make(client, target.relation, trigger, name, false);
  }
}

/** Legacy is guarded while the reverse direction is active, and the other way round. */
async function makeGuards(client: pg.ClientBase, migration: ArmableMigration, side: Side): Promise<void> {
  const activeIn = side === 'legacy' ? 'reverse' : 'forward';
  for (const guard of migration.guards[side]) {
    const defaults = await readDefaults(client, guard);
    for (const trigger of guardTriggers(migration, side, guard, defaults)) {
      await make(client, guard.relation, trigger, activeIn, true);
    }
  }
}

async function make(
  client: pg.ClientBase,
  relation: Relation,
  { name, sql }: ArmedTrigger,
  activeIn: DirectionName,
  guards: boolean,
): Promise<void> {
  await client.query(sql);
  await client.query(enterTriggerSql, [quoteRelation(relation), name, activeIn, guards]);
}
