import { LockstepError } from '../../engine/errors.ts';
import { environment } from '../contract.ts';
import { type SslMode, sslModeFor } from './tls.ts';

/** Where the database is and as whom to enter it; everything but the password. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly sslMode: SslMode;
  readonly caFile: string | undefined;
}

const parameters = new Set(['sslmode', 'sslrootcert', 'host']);

/**
 * Reads a `postgresql://` URL. Parameters other than sslmode, sslrootcert and host are refused rather than ignored.
 * Throws LS_CONFIG; no message repeats the URL, since it may hold a password.
 */
export function parseDatabaseUrl(text: string, caFile?: string): { address: Address; password: string | undefined } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'postgresql:' && url?.protocol !== 'postgres:') {
    throw new LockstepError(
      'LS_CONFIG',
      `${environment.databaseUrl} is not a URL like postgresql://user@host:5432/database.`,
    );
  }
  const unknown = [...url.searchParams.keys()].find((name) => !parameters.has(name));
  if (unknown !== undefined) {
    throw new LockstepError(
      'LS_CONFIG',
      `${environment.databaseUrl} has the parameter ${unknown}, which is not known.`,
    );
  }
  const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  const user = decodeURIComponent(url.username);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (host === '' || user === '' || database === '') {
    throw new LockstepError(
      'LS_CONFIG',
      `${environment.databaseUrl} lacks its ${host === '' ? 'host' : user === '' ? 'user' : 'database'}.`,
    );
  }
  return {
    address: {
      host,
      port: url.port === '' ? 5432 : Number(url.port),
      database,
      user,
      sslMode: sslModeFor(host, url.searchParams.get('sslmode')),
      caFile: url.searchParams.get('sslrootcert') ?? caFile,
    },
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
  };
}

/** What a secret may leave out, by the secret's own names. */
export interface SecretDefaults {
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly dbname?: string | undefined;
}

/**
 * Reads a secret of the shape {username, password, host, port, dbname}; one that RDS manages has the first two only.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
 * Throws LS_SECRET_UNREADABLE naming the field that is missing, never a value.
 */
export function parseDatabaseSecret(
  text: string,
  caFile?: string,
  defaults: SecretDefaults = {},
): { address: Address; password: string } {
  const fields: Record<string, unknown> = { ...withoutUndefined(defaults), ...parseObject(text) };
  const read = (name: string): string => {
    const value = fields[name];
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    throw new LockstepError('LS_SECRET_UNREADABLE', `The database's secret has no ${name}.`);
  };
  const host = read('host');
  const address: Address = {
    host,
    port: fields.port === undefined ? 5432 : Number(read('port')),
    database: read('dbname'),
    user: read('username'),
    sslMode: sslModeFor(host, null),
    caFile,
  };
  return { address, password: read('password') };
}

function withoutUndefined(defaults: SecretDefaults): Record<string, unknown> {
  return Object.fromEntries(Object.entries(defaults).filter(([, value]) => value !== undefined));
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // The parser's message quotes the text, which holds the password.
  }
  throw new LockstepError('LS_SECRET_UNREADABLE', "The database's secret is not a JSON object.");
}
