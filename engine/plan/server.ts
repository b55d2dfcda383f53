import { type Queryable, textRows } from '../text-query.ts';

/** What the server says about itself that a migration depends on. */
export interface PlanServer {
  readonly version: number;
  readonly database: string;
  readonly user: string;
  readonly inRecovery: boolean;
  readonly settings: Readonly<Record<Setting, string>>;
  readonly slots: { readonly used: number; readonly free: number };
  readonly senders: { readonly used: number; readonly free: number };
  /** Sessions of clients at the moment, and how many more there may be. */
  readonly connections: { readonly used: number; readonly free: number };
  readonly mayReplicate: boolean;
  readonly mayCreateSchema: boolean;
  /** Transactions older than a minute, with what is known of them. */
  readonly longTransactions: readonly string[];
  readonly preparedTransactions: readonly string[];
}

const settings = [
  'wal_level',
  'max_slot_wal_keep_size',
  'max_replication_slots',
  'max_wal_senders',
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'deadlock_timeout',
  'server_version_num',
] as const;

export type Setting = (typeof settings)[number];

const factsSql = `
  SELECT json_build_object(
    'version', current_setting('server_version_num')::int / 10000,
    'database', current_database(), 'user', current_user, 'inRecovery', pg_is_in_recovery(),
    'slots', (SELECT json_build_object('used', count(*), 'free', current_setting('max_replication_slots')::int - count(*)) FROM pg_replication_slots),
    'senders', (SELECT json_build_object('used', count(*), 'free', current_setting('max_wal_senders')::int - count(*)) FROM pg_stat_replication),
    'connections', (
      SELECT json_build_object('used', count(*), 'free', current_setting('max_connections')::int
               - current_setting('superuser_reserved_connections')::int - count(*))
      FROM pg_stat_activity WHERE backend_type = 'client backend'),
    'mayReplicate', (
      SELECT r.rolsuper OR r.rolreplication OR EXISTS (
        SELECT FROM pg_roles g WHERE g.rolname = 'rds_replication' AND pg_has_role(r.oid, g.oid, 'member'))
      FROM pg_roles r WHERE r.rolname = current_user),
    'mayCreateSchema', has_database_privilege(current_database(), 'CREATE'),
    'longTransactions', (
      SELECT coalesce(json_agg(format('process %s (%s, user %s), open for %s', a.pid,
               coalesce(nullif(a.application_name, ''), 'no application name'), a.usename,
               date_trunc('second', clock_timestamp() - a.xact_start)) ORDER BY a.xact_start), '[]')
      FROM pg_stat_activity a
      WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - INTERVAL '1 minute'
        AND a.backend_type = 'client backend'),
    'preparedTransactions', (
      SELECT coalesce(json_agg(format('"%s" of %s, prepared %s ago', p.gid, p.owner, date_trunc('second', clock_timestamp() - p.prepared))), '[]')
      FROM pg_prepared_xacts p WHERE p.database = current_database())) AS facts`;

/** Reads everything of the server that `preflight` judges. */
export async function readPlanServer(db: Queryable): Promise<PlanServer> {
  const [row] = await textRows<{ facts: string }>(db, factsSql);
  const values = await textRows<{ name: string; value: string }>(
    db,
    'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY ($1)',
    [settings],
  );
  const facts = JSON.parse(row?.facts ?? '{}') as Omit<PlanServer, 'settings'>;
  return {
    ...facts,
    settings: Object.fromEntries(values.map(({ name, value }) => [name, value])) as Record<Setting, string>,
  };
}
