import { type ErrorCode, LockstepError } from '../../engine/errors.ts';
import { driverLostConnection, sqlState } from '../../engine/sqlstate.ts';
import type { Address } from './address.ts';

/**
 * Why the database could not be entered, as a sentence without secrets. Decided by SQLSTATE or Node's error code; an
 * error that is not about connecting comes back as it is.
 */
export function explainConnectionError(error: unknown, address: Address): unknown {
  if (!(error instanceof Error) || error instanceof LockstepError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const place = `${address.host}:${address.port}`;
  const known = code === undefined ? spoken(error, address, place) : reason(code, address, place);
  if (!known) return error;
  const [errorCode, message] = known;
  return new LockstepError(errorCode, message, { cause: error });
}

// Also of the socket file of a server that starts again, and of a name whose address changes hands.
const socketSays = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);
const socketCalls = new Set(['connect', 'read', 'write', 'getaddrinfo']);
// Shut down by somebody, by a crash, or not yet up, or short of connections as everybody comes back: https://www.postgresql.org/docs/current/errcodes-appendix.html
const serverSays = /^(08...|53300|57P0[1-3])$/;

/** Whether a query failed because the database had gone away in the middle of a command, and may come back. */
export function isDatabaseLost(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const state = sqlState(error);
  if (state !== undefined) return serverSays.test(state);
  const { code, syscall } = error as NodeJS.ErrnoException;
  // A file has such codes, too.
  if (code !== undefined) return socketSays.has(code) && socketCalls.has(syscall ?? '');
  return driverLostConnection(error);
}

/** What pg itself finds (a timeout, a server without TLS) has no code, but a message that holds no secret. */
function spoken({ message }: Error, { sslMode }: Address, place: string): readonly [ErrorCode, string] {
  return ['LS_DATABASE_UNREACHABLE', `${place} cannot be entered with sslmode=${sslMode}: ${message}.`];
}

function reason(code: string, address: Address, place: string): readonly [ErrorCode, string] | undefined {
  switch (code) {
    case 'ECONNREFUSED':
      return ['LS_DATABASE_UNREACHABLE', `Nothing listens at ${place}.`];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ['LS_DATABASE_UNREACHABLE', `The host ${address.host} has no address (${code}).`];
    case 'ENOENT':
      return ['LS_DATABASE_UNREACHABLE', `There is no PostgreSQL socket in ${address.host}.`];
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ECONNRESET':
      return ['LS_DATABASE_UNREACHABLE', `${place} does not answer (${code}).`];
    case '57P01':
    case '57P02':
    case '57P03':
      return ['LS_DATABASE_UNREACHABLE', `The server at ${place} is starting up or shutting down (SQLSTATE ${code}).`];
    case '28P01':
    case '28000':
      return ['LS_DATABASE_REFUSED', `${place} does not let user ${address.user} in (SQLSTATE ${code}).`];
    case '3D000':
      return ['LS_DATABASE_REFUSED', `The server at ${place} has no database ${address.database}.`];
    case '53300':
      return ['LS_DATABASE_REFUSED', `The server at ${place} has no connection left for user ${address.user}.`];
    default:
      return isTls(code)
        ? ['LS_DATABASE_TLS', `${place} did not prove who it is (${code}, sslmode=${address.sslMode}).`]
        : undefined;
  }
}

/** OpenSSL's verification errors and Node's own: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
function isTls(code: string): boolean {
  return /CERT|^ERR_TLS|^ERR_SSL|^EPROTO$|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/.test(code);
}
