import pg from 'pg';
import { LockstepError } from '../../engine/errors.ts';
import { sqlState } from '../../engine/sqlstate.ts';
import { silent, type Telemetry } from '../../engine/telemetry.ts';
import { environment } from '../contract.ts';
import { createSecretCache, createSecretsClient, type SecretCache } from '../secrets/cache.ts';
import { type Address, parseDatabaseSecret, parseDatabaseUrl } from './address.ts';
import { explainConnectionError } from './explain.ts';
import { type SessionOptions, sessionSettings } from './session.ts';
import { tlsOptions } from './tls.ts';
import { textTypes } from './types.ts';

export interface DatabaseOptions extends SessionOptions {
  /** What the server shows in pg_stat_activity. */
  readonly applicationName: string;
  /** Connections at most. Default 10. */
  readonly max?: number;
  /** Default 10,000. */
  readonly connectTimeoutMs?: number;
  /**
   * An answer that takes longer is not waited for, since the server is gone without a word: TCP itself gives up after a
   * quarter of an hour. Default: a little more than `statementTimeoutMs`; without either, for ever.
   */
  readonly answerTimeoutMs?: number;
  readonly telemetry?: Telemetry;
  /** Default: this process's. The settings are named in infra/contract.ts. */
  readonly env?: NodeJS.ProcessEnv;
  readonly secrets?: SecretCache;
}

export interface Database extends AsyncDisposable {
  readonly pool: pg.Pool;
  readonly address: Address;
  /** For a connection beside the pool, such as the replication connection; without the session's settings. */
  clientConfig(applicationName: string): pg.ClientConfig;
  close(): Promise<void>;
}

/**
 * Opens the database that LOCKSTEP_DATABASE_URL or LOCKSTEP_DATABASE_SECRET_ARN names and tries one connection. With a
 * secret, each new connection asks for the password, so a rotation needs no restart; a refused one is fetched again once.
 * Throws LS_CONFIG, LS_SECRET_UNREADABLE, LS_DATABASE_UNREACHABLE, LS_DATABASE_REFUSED or LS_DATABASE_TLS; never with
 * the password.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { address, password, forgetPassword } = await findDatabase(options);
  const { telemetry = silent } = options;
  const config = (applicationName: string): pg.ClientConfig => ({
    host: address.host,
    port: address.port,
    database: address.database,
    user: address.user,
    password,
    ssl: tlsOptions(address.sslMode, address.caFile),
    application_name: applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  const settings = sessionSettings(options);
  const pool = new pg.Pool({
    ...config(options.applicationName),
    types: textTypes,
    max: options.max ?? 10,
    query_timeout: answerTimeoutMs(options),
    onConnect: async (client) => void (await client.query(settings)),
  });
  // A connection that breaks while nobody uses it is replaced by the pool.
  pool.on('error', (error) => {
    telemetry.log('warn', 'database.idle_connection_lost', { code: (error as { code?: string }).code ?? error.name });
  });
  // Nor is one that breaks in somebody's hand, between two statements, the end of the process: the next statement tells.
  pool.on('connect', (client) => void client.on('error', () => undefined));
  if (forgetPassword) retryRefusedPassword(pool, forgetPassword);
  try {
    await pool.query('SELECT');
  } catch (error) {
    await pool.end();
    throw explainConnectionError(error, address);
  }
  const close = () => pool.end();
  return { pool, address, clientConfig: config, close, [Symbol.asyncDispose]: close };
}

/** How much longer than the statement itself its answer may take. */
const onTheWayMs = 5_000;

/** 0: for ever. */
function answerTimeoutMs(options: DatabaseOptions): number {
  if (options.answerTimeoutMs !== undefined) return options.answerTimeoutMs;
  return options.statementTimeoutMs ? options.statementTimeoutMs + onTheWayMs : 0;
}

interface Found {
  readonly address: Address;
  readonly password: string | (() => Promise<string>);
  readonly forgetPassword?: () => void;
}

async function findDatabase({ env = process.env, secrets }: DatabaseOptions): Promise<Found> {
  const url = env[environment.databaseUrl];
  const arn = env[environment.databaseSecretArn];
  const caFile = env[environment.databaseCaFile];
  if (url !== undefined && arn !== undefined) {
    throw new LockstepError(
      'LS_CONFIG',
      `Both ${environment.databaseUrl} and ${environment.databaseSecretArn} are set.`,
    );
  }
  if (url !== undefined) {
    const { address, password = '' } = parseDatabaseUrl(url, caFile);
    return { address, password };
  }
  if (arn === undefined) {
    throw new LockstepError(
      'LS_CONFIG',
      `Neither ${environment.databaseUrl} nor ${environment.databaseSecretArn} is set.`,
    );
  }
  const cache = secrets ?? createSecretCache({ client: createSecretsClient() });
  const defaults = {
    host: env[environment.databaseHost],
    port: env[environment.databasePort],
    dbname: env[environment.databaseName],
  };
  const { address } = parseDatabaseSecret(await cache.read(arn), caFile, defaults);
  return {
    address,
    password: async () => parseDatabaseSecret(await cache.read(arn), caFile, defaults).password,
    forgetPassword: () => cache.forget(arn),
  };
}

/** Makes the pool try once more, with a password fetched again, when the server refuses the one it has (28P01). */
function retryRefusedPassword(pool: pg.Pool, forget: () => void): void {
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const connectAgain = async () => {
    try {
      return await connect();
    } catch (error) {
      if (sqlState(error) !== '28P01') throw error;
      forget();
      return connect();
    }
  };
  // pg calls it with a callback from `pool.query`, and without one elsewhere.
  type Callback = (error: Error | undefined, client?: pg.PoolClient, release?: pg.PoolClient['release']) => void;
  pool.connect = ((callback?: Callback) => {
    if (!callback) return connectAgain();
    connectAgain().then((client) => callback(undefined, client, client.release), callback);
  }) as typeof pool.connect;
}
