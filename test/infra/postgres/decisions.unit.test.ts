import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { LockstepError } from '../../../engine/errors.ts';
import { remedyFor } from '../../../engine/sqlstate.ts';
import { parseDatabaseSecret, parseDatabaseUrl } from '../../../infra/postgres/address.ts';
import { explainConnectionError, isDatabaseLost } from '../../../infra/postgres/explain.ts';
import { sslModeFor, tlsOptions } from '../../../infra/postgres/tls.ts';

const password = 'p@ss:w/rd';
const address = parseDatabaseUrl('postgresql://app@db.example:6543/photos').address;

describe('a URL', () => {
  test('is read with its escapes', () => {
    const read = parseDatabaseUrl(
      `postgres://us%40er:${encodeURIComponent(password)}@db.example/my%20db?sslmode=require`,
    );
    expect(read).toEqual({
      address: {
        host: 'db.example',
        port: 5432,
        database: 'my db',
        user: 'us@er',
        sslMode: 'require',
        caFile: undefined,
      },
      password,
    });
  });

  test('may name a socket or an IPv6 address', () => {
    expect(parseDatabaseUrl('postgresql://app@x/db?host=/run/postgresql').address).toMatchObject({
      host: '/run/postgresql',
      sslMode: 'disable',
    });
    expect(parseDatabaseUrl('postgresql://app@[::1]:5433/db').address).toMatchObject({ host: '::1', port: 5433 });
  });

  test.each([
    ['mysql://app@h/db', /not a URL like/],
    ['nonsense', /not a URL like/],
    ['postgresql://app@h/', /lacks its database/],
    ['postgresql://h/db', /lacks its user/],
    ['postgresql://app@h/db?sslmode=prefer', /sslmode=prefer is not one of/],
    ['postgresql://app@h/db?options=-csearch_path', /parameter options/],
  ])('%s is refused', (url, message) => {
    expect(() => parseDatabaseUrl(url)).toThrow(
      expect.objectContaining({ code: 'LS_CONFIG', message: expect.stringMatching(message) }),
    );
  });
});

describe('a secret', () => {
  const secret = { username: 'app', password, host: 'db.example', port: 5433, dbname: 'photos', engine: 'postgres' };

  test('is read in the shape of RDS', () => {
    expect(parseDatabaseSecret(JSON.stringify(secret), '/ca.pem')).toEqual({
      address: {
        host: 'db.example',
        port: 5433,
        database: 'photos',
        user: 'app',
        sslMode: 'verify-full',
        caFile: '/ca.pem',
      },
      password,
    });
  });

  test('without a field is refused without a word of what it holds', () => {
    const { dbname: _, ...rest } = secret;
    for (const text of [JSON.stringify(rest), `{"password":"${password}`, '"p@ss:w/rd"']) {
      const read = () => parseDatabaseSecret(text);
      expect(read).toThrow(expect.objectContaining({ code: 'LS_SECRET_UNREADABLE' }));
      expect(read).not.toThrow(password);
    }
  });
});

describe('TLS', () => {
  test.each([
    ['db.example', null, 'verify-full'],
    ['127.0.0.1', null, 'disable'],
    ['localhost', null, 'disable'],
    ['localhost.example', null, 'verify-full'],
    ['127.0.0.1', 'verify-full', 'verify-full'],
    ['db.example', 'disable', 'disable'],
  ] as const)('%s with %s is %s', (host, requested, mode) => {
    expect(sslModeFor(host, requested)).toBe(mode);
  });

  test('a bundle that is not there is named', () => {
    expect(() => tlsOptions('verify-full', '/nowhere/ca.pem')).toThrow(/\/nowhere\/ca\.pem/);
    expect(tlsOptions('disable', '/nowhere/ca.pem')).toBe(false);
  });
});

describe('why the database cannot be entered', () => {
  const failure = (code: string | undefined) =>
    Object.assign(new Error(`said ${password}`), code === undefined ? {} : { code });
  test.each([
    ['ECONNREFUSED', 'LS_DATABASE_UNREACHABLE', 'Nothing listens at db.example:6543.'],
    ['ENOTFOUND', 'LS_DATABASE_UNREACHABLE', 'The host db.example has no address (ENOTFOUND).'],
    ['28P01', 'LS_DATABASE_REFUSED', 'db.example:6543 does not let user app in (SQLSTATE 28P01).'],
    ['57P03', 'LS_DATABASE_UNREACHABLE', 'db.example:6543 is starting up or shutting down (SQLSTATE 57P03).'],
    ['3D000', 'LS_DATABASE_REFUSED', 'The server at db.example:6543 has no database photos.'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'LS_DATABASE_TLS', /db\.example:6543 did not prove who it is/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'LS_DATABASE_TLS', /sslmode=verify-full/],
  ])('%s', (code, expected, message) => {
    const explained = explainConnectionError(failure(code), address) as LockstepError;
    expect(explained).toBeInstanceOf(LockstepError);
    expect(explained.code).toBe(expected);
    expect(explained.message).toMatch(message);
    expect(explained.message).not.toContain(password);
  });

  test('an error that is not about connecting stays what it is', () => {
    const error = failure('42P01');
    expect(explainConnectionError(error, address)).toBe(error);
  });
});

describe('what an error without SQLSTATE asks for', () => {
  test.each([
    ['ECONNRESET', 'retry'],
    ['EAI_AGAIN', 'retry'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'retry'],
    ['ERR_STREAM_DESTROYED', 'retry'],
    ['ERR_INVALID_ARG_TYPE', 'stop'],
    ['ERR_OUT_OF_RANGE', 'stop'],
  ] as const)('%s: %s', (code, remedy) => {
    expect(remedyFor(Object.assign(new Error('said'), { code }), false)).toBe(remedy);
  });
});

describe('whether the database went away', () => {
  const ofServer = (code: string) => Object.assign(new Error('said'), { code, severity: 'FATAL' });
  test.each([
    ['57P01', true],
    ['57P02', true],
    ['57P03', true],
    ['53300', true],
    ['08006', true],
    ['57014', false],
    ['42P01', false],
    ['28P01', false],
  ])('SQLSTATE %s: %s', (code, lost) => {
    expect(isDatabaseLost(ofServer(code))).toBe(lost);
  });

  test.each([
    ['ECONNRESET', true],
    ['ECONNREFUSED', true],
    ['EPIPE', true],
    ['EAI_AGAIN', true],
    ['EACCES', false],
    ['ERR_INVALID_ARG_TYPE', false],
  ])('code %s: %s', (code, lost) => {
    expect(isDatabaseLost(Object.assign(new Error('said'), { code, syscall: 'connect' }))).toBe(lost);
    // Of a file.
    expect(isDatabaseLost(Object.assign(new Error('said'), { code, syscall: 'open' }))).toBe(false);
  });

  test('what the driver says without a code is what the driver that is installed says', () => {
    const require = createRequire(import.meta.url);
    const source = ['pg/lib/client.js', 'pg/lib/connection.js', 'pg-pool']
      .map((file) => readFileSync(require.resolve(file), 'utf8'))
      .join('');
    const said = [...source.matchAll(/new Error\('([^']*(?:terminated|timeout|connection error|establishing)[^']*)'/g)];
    const words = new Set(said.map(([, words]) => words as string));
    expect(words.size).toBeGreaterThan(4);
    for (const text of words) {
      const error = new Error(text);
      expect([text, isDatabaseLost(error), remedyFor(error, false)]).toEqual([text, true, 'retry']);
    }
    const other = new Error('something else');
    expect([isDatabaseLost(other), remedyFor(other, false), remedyFor(other, true)]).toEqual([false, 'stop', 'retry']);
  });
});
