/** Local settings: those of a production server that matter to replication, small enough for a laptop. */
const localSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_connections: '200',
  max_locks_per_transaction: '256',
  max_replication_slots: '64',
  max_wal_senders: '64',
  max_worker_processes: '8',
  synchronous_commit: 'on',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
} as const;

export interface SettingsInput {
  readonly port: number;
  readonly fsync: boolean;
  readonly [name: string]: string | number | boolean;
}

/**
 * The text of a file in postgresql.conf's syntax, so that ALTER SYSTEM still wins over it.
 * `full_page_writes` follows fsync: without the one the other protects nothing.
 */
export function settingsFile(input: SettingsInput): string {
  const settings = { ...localSettings, full_page_writes: input.fsync, ...input };
  const quote = (value: string | number | boolean) =>
    typeof value === 'boolean' ? (value ? 'on' : 'off') : `'${String(value).replaceAll("'", "''")}'`;
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${quote(value)}\n`)
    .join('');
}
