import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { LockstepError } from '../../engine/errors.ts';

export const sslModes = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

/**
 * libpq's `sslmode` without the modes that fall back to plain text
 * (https://www.postgresql.org/docs/current/libpq-ssl.html). Left out, it is `verify-full`, or `disable` on this machine.
 * Throws LS_CONFIG on an unknown one.
 */
export function sslModeFor(host: string, requested: string | null): SslMode {
  if (requested === null) return isLocal(host) ? 'disable' : 'verify-full';
  const mode = sslModes.find((known) => known === requested);
  if (mode) return mode;
  throw new LockstepError('LS_CONFIG', `sslmode=${requested} is not one of ${sslModes.join(', ')}.`);
}

/** Loopback, or the directory of a Unix socket. */
function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') || host.startsWith('/');
}

/**
 * For pg's `ssl`.
 * @param caFile PEM bundle of the authorities to trust instead of Node's (RDS signs with its own).
 * Throws LS_CONFIG when the file cannot be read.
 */
export function tlsOptions(mode: SslMode, caFile: string | undefined): ConnectionOptions | false {
  if (mode === 'disable') return false;
  if (mode === 'require') return { rejectUnauthorized: false };
  const authorities = caFile === undefined ? {} : { ca: readBundle(caFile) };
  return mode === 'verify-ca' ? { ...authorities, checkServerIdentity: () => undefined } : authorities;
}

function readBundle(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new LockstepError('LS_CONFIG', `The certificate bundle ${path} cannot be read.`, { cause });
  }
}
