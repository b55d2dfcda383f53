import { LockstepError } from '../errors.ts';
import { type Queryable, textRows } from '../text-query.ts';

export interface ServerFacts {
  readonly versionNum: number;
  readonly walLevel: string;
  readonly inRecovery: boolean;
  readonly database: string;
}

/** Column lists in publications came with 15. */
const oldestVersion = 15;

export async function readServer(db: Queryable): Promise<ServerFacts> {
  const [row] = await textRows<{ version: string; wal_level: string; recovery: string; database: string }>(
    db,
    `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level,
            pg_is_in_recovery() AS recovery, current_database() AS database`,
  );
  if (!row)
    throw new LockstepError('LS_DATABASE_UNREACHABLE', 'The server did not answer a question about its settings.');
  return {
    versionNum: Number(row.version),
    walLevel: row.wal_level,
    inRecovery: row.recovery === 't',
    database: row.database,
  };
}

/** Whether a server can be captured from at all. */
export function flawInServer(facts: ServerFacts): LockstepError | undefined {
  const major = Math.floor(facts.versionNum / 10_000);
  if (major < oldestVersion)
    return new LockstepError(
      'LS_SERVER_VERSION',
      `The server is PostgreSQL ${major}; Lockstep needs ${oldestVersion} or newer.`,
    );
  if (facts.inRecovery)
    return new LockstepError(
      'LS_READ_REPLICA',
      `Database "${facts.database}" is on a server in recovery (a read replica).`,
    );
  if (facts.walLevel !== 'logical')
    return new LockstepError(
      'LS_WAL_LEVEL',
      `The server's wal_level is "${facts.walLevel}"; logical decoding needs "logical".`,
    );
  return undefined;
}
